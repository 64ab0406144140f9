import { isIP } from 'node:net'

const widest = (address: string): number => (isIP(address) === 6 ? 128 : 32)

/** Reads an address, or a range of them, as a CIDR: `203.0.113.7` is `203.0.113.7/32`. */
function parseCidr(text: string): string | undefined {
  const [address = '', length, ...more] = text.trim().split('/')
  if (isIP(address) === 0 || more.length > 0) return undefined
  if (length === undefined) return `${address}/${widest(address)}`
  return /^\d{1,3}$/.test(length) && Number(length) <= widest(address)
    ? `${address}/${Number(length)}`
    : undefined
}

/** Reads `203.0.113.0/24,2001:db8::/32`; nothing where that is no list of address ranges. */
export function parseCidrs(text: string): readonly string[] | undefined {
  const cidrs = text.split(',').map(parseCidr)
  return cidrs.every((cidr) => cidr !== undefined) ? cidrs : undefined
}
