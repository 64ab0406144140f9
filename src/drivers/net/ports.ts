/** A range of open ports, including both ends. */
export interface PortRange {
  readonly from: number
  readonly to: number
  readonly protocol: 'tcp' | 'udp'
}

const pattern = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp))?$/

function parseRange(text: string): PortRange | undefined {
  const [, first, last = first, protocol = 'tcp'] = pattern.exec(text.trim()) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (!(from >= 1 && from <= to && to <= 65_535)) return undefined
  return { from, to, protocol: protocol === 'udp' ? 'udp' : 'tcp' }
}

/** Formats a range for messages, such as `443/tcp` or `8000-8100/udp`. */
export const nameOfRange = ({ from, to, protocol }: PortRange): string =>
  `${from === to ? from : `${from}-${to}`}/${protocol}`

/** Formats a list of ports in canonical form, such as `443/tcp, 80/tcp`; `none` if the list is empty. */
export function formatPorts(text: string): string {
  const ranges = text === '' ? [] : (parsePorts(text) ?? [])
  const words = ranges.map(nameOfRange)
  return words.length === 0 ? 'none' : [...new Set(words)].sort().join(', ')
}

/** Parses `80,443/tcp,8000-8100/udp`; `undefined` if the text is not a list of ports. */
export function parsePorts(text: string): readonly PortRange[] | undefined {
  const ranges = text.split(',').map(parseRange)
  return ranges.every((range) => range !== undefined) ? ranges : undefined
}
