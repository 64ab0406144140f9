import { SocketAddress, isIP } from 'node:net'

const widest = (address: string): number => (isIP(address) === 6 ? 128 : 32)

/** Returns the groups of an IPv6 address, with `::` expanded. A trailing IPv4 address is two groups (RFC 4291, 2.2). */
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

/** Returns the first address in the range of `address`, in which all bits after the first `length` bits are 0. */
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
 * Parses an address or a range as a CIDR in canonical form, as providers return it: `203.0.113.7`
 * becomes `203.0.113.7/32`, `203.0.113.7/24` becomes `203.0.113.0/24` (EC2 API reference,
 * IpRange.CidrIp).
 */
function parseCidr(text: string): string | undefined {
  const [address = '', length, ...more] = text.trim().split('/')
  if (isIP(address) === 0 || more.length > 0 || address.includes('%')) return undefined
  if (length === undefined) return `${networkOf(address, widest(address))}/${widest(address)}`
  return /^\d{1,3}$/.test(length) && Number(length) <= widest(address)
    ? `${networkOf(address, Number(length))}/${Number(length)}`
    : undefined
}

/** Whether range `wide` contains all of `narrow`, both in the form of {@link parseCidrs}. */
export function coversRange(wide: string, narrow: string): boolean {
  const [[base = '', length], [address = '', its]] = [wide.split('/'), narrow.split('/')]
  if (isIP(base) !== isIP(address) || Number(its) < Number(length)) return false
  return networkOf(address, Number(length)) === networkOf(base, Number(length))
}

/**
 * Parses `203.0.113.0/24,2001:db8::/32` into canonical form; `undefined` if the text is not a list
 * of ranges.
 */
export function parseCidrs(text: string): readonly string[] | undefined {
  const cidrs = text.split(',').map(parseCidr)
  return cidrs.every((cidr) => cidr !== undefined) ? cidrs : undefined
}

/**
 * Returns notes for the user about ranges that are larger than they look, because the user wrote an address inside the
 * range.
 */
export function hostBitsNotes(text: string): readonly string[] {
  return text.split(',').flatMap((one) => {
    const [address = '', length] = one.trim().split('/')
    const cidr = parseCidr(one)
    if (cidr === undefined || length === undefined) return []
    const written = `${networkOf(address, widest(address))}/${Number(length)}`
    return written === cidr ? [] : [`${one.trim()} covers the whole range ${cidr}`]
  })
}
