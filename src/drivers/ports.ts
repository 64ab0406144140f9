/** Ports that anybody may reach, both ends included. */
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

/** Reads `80,443/tcp,8000-8100/udp`; nothing where that is no list of ports. */
export function parsePorts(text: string): readonly PortRange[] | undefined {
  const ranges = text.split(',').map(parseRange)
  return ranges.every((range) => range !== undefined) ? ranges : undefined
}
