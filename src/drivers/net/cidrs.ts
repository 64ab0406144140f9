import { SocketAddress, isIP } from 'node:net'

const widest = (address: string): number => (isIP(address) === 6 ? 128 : 32)

/** The groups of an IPv6 address in its long form: an IPv4 address at its end is two of them (RFC 4291, 2.2). */
function groupsOf(address: string): readonly number[] {
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const [head = [], tail = []] = plain
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16))))
  const zeros = Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0)
  return plain.includes('::') ? [...head, ...zeros, ...tail] : head
}

/** The first address of the range that `address` is in: its bits after the first `length` are 0. */
function networkOf(address: string, length: number): string {
  const isV6 = isIP(address) === 6
  const [parts, bits] = isV6 ? [groupsOf(address), 16] : [address.split('.').map(Number), 8]
  const masked = parts.map((part, index) => {
    const kept = Math.min(bits, Math.max(0, length - index * bits))
    return part & ((2 ** bits - 1) ^ (2 ** (bits - kept) - 1))
  })
  if (!isV6) return masked.join('.')
  const text = masked.map((group) => group.toString(16)).join(':')
  return new SocketAddress({ address: text, family: 'ipv6' }).address
}

/**
 * Reads an address, or a range of them, as a CIDR in the one form that providers answer with: `203.0.113.7` is
 * `203.0.113.7/32`, and `203.0.113.7/24` is `203.0.113.0/24` (EC2 API reference, IpRange.CidrIp).
 */
function parseCidr(text: string): string | undefined {
  const [address = '', length, ...more] = text.trim().split('/')
  if (isIP(address) === 0 || more.length > 0 || address.includes('%')) return undefined
  if (length === undefined) return `${networkOf(address, widest(address))}/${widest(address)}`
  return /^\d{1,3}$/.test(length) && Number(length) <= widest(address)
    ? `${networkOf(address, Number(length))}/${Number(length)}`
    : undefined
}

/** Whether all of a range is in another one; both as {@link parseCidrs} gives them. */
export function coversRange(wide: string, narrow: string): boolean {
  const [[base = '', length], [address = '', its]] = [wide.split('/'), narrow.split('/')]
  if (isIP(base) !== isIP(address) || Number(its) < Number(length)) return false
  return networkOf(address, Number(length)) === networkOf(base, Number(length))
}

/** Reads `203.0.113.0/24,2001:db8::/32`, each in its canonical form; nothing where that is no list of address ranges. */
export function parseCidrs(text: string): readonly string[] | undefined {
  const cidrs = text.split(',').map(parseCidr)
  return cidrs.every((cidr) => cidr !== undefined) ? cidrs : undefined
}

/** What to tell of ranges that were written with bits after their length: the range is wider than it looks. */
export function noteOnHostBits(text: string): readonly string[] {
  return text.split(',').flatMap((one) => {
    const [address = '', length] = one.trim().split('/')
    const cidr = parseCidr(one)
    if (cidr === undefined || length === undefined) return []
    const written = `${networkOf(address, widest(address))}/${Number(length)}`
    return written === cidr
      ? []
      : [`${one.trim()} stands in the range ${cidr}, which is used as a whole`]
  })
}
