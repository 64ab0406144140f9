import type { ContainerPort, ContainerSummary } from '../../engine/containers.ts'
import { humanSize, shorten } from '../../ui/human-units.ts'

/** Joins an IP address and a port: `127.0.0.1:80`, `[::1]:80`. */
const hostPort = (ip: string, port: number | string): string =>
  ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`

const inOrder = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)

const byPort = (a: ContainerPort, b: ContainerPort): number =>
  a.PrivatePort - b.PrivatePort ||
  inOrder(a.IP ?? '', b.IP ?? '') ||
  (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
  inOrder(a.Type, b.Type)

/** The wildcard addresses of the two IP families. */
const anyIpv4 = '0.0.0.0'
const anyIpv6 = '::'

const mappingOf = ({ PrivatePort, PublicPort, Type }: ContainerPort): string =>
  `${PublicPort}:${PrivatePort}/${Type}`

/** Uses `*` as the address of ports that are published identically for IPv4 and IPv6. */
export function mergeIpFamilies(ports: readonly ContainerPort[]): readonly ContainerPort[] {
  const keysOn = (ip: string): Set<string> =>
    new Set(ports.filter(({ IP }) => IP === ip).map(mappingOf))
  const [ipv4, ipv6] = [keysOn(anyIpv4), keysOn(anyIpv6)]
  return ports.flatMap((port) => {
    const key = mappingOf(port)
    if (!ipv4.has(key) || !ipv6.has(key)) return [port]
    if (port.IP === anyIpv6) return []
    return [port.IP === anyIpv4 ? { ...port, IP: '*' } : port]
  })
}

/**
 * Formats a container's ports as `docker ps` does: consecutive ports as a range, and ports that are published under a
 * different number last.
 */
export function portsText(ports: readonly ContainerPort[]): string {
  const ranges = new Map<string, { ip: string; type: string; first: number; last: number }[]>()
  const mapped: string[] = []
  for (const { IP: ip = '', PrivatePort: port, PublicPort: published, Type: type } of [
    ...ports,
  ].toSorted(byPort)) {
    if (ip !== '' && published !== port) {
      mapped.push(`${hostPort(ip, published ?? 0)}->${port}/${type}`)
      continue
    }
    const group = ranges.get(`${ip}/${type}`) ?? []
    ranges.set(`${ip}/${type}`, group)
    const range = group.at(-1)
    if (range?.last === port - 1) range.last = port
    else group.push({ ip, type, first: port, last: port })
  }
  const texts = [...ranges.values()].flat().map(({ ip, type, first, last }) => {
    const range = first === last ? `${first}` : `${first}-${last}`
    return `${ip === '' ? '' : `${hostPort(ip, range)}->`}${range}/${type}`
  })
  return [...texts, ...mapped].join(', ')
}

/** Formats a duration as docker does (HumanDuration of go-units). */
function dockerSpan(seconds: number): string {
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600 + 0.5)]
  if (seconds < 1) return 'Less than a second'
  if (seconds < 60) return `${Math.floor(seconds)} second${seconds < 2 ? '' : 's'}`
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 14) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 60) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 730) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(seconds / 3600 / 24 / 365)} years`
}

/** The short form of an image ID. */
const shortId = (text: string): string => text.replace(/^sha256:/, '').slice(0, 12)

function imageText({ Image: image, ImageID: id }: ContainerSummary, isWhole: boolean): string {
  if (image === '') return '<no image>'
  if (isWhole) return image
  if (shortId(image) === shortId(id)) return shortId(id)
  return image.replace(/^(.*:[^/@]*)@sha256:.*$/, '$1')
}

/**
 * The fields of a container in `docker ps --format json`, with docker's names and texts. Times are in UTC. `isWhole`:
 * whether texts are complete, as with `--no-trunc`.
 */
export function dockerFields(
  container: ContainerSummary,
  { isWhole, now }: { readonly isWhole: boolean; readonly now: number },
): Readonly<Record<string, unknown>> {
  const { Names, Command, Created, Labels, Mounts, SizeRw = 0, SizeRootFs = 0 } = container
  const names = Names.map((name) => name.replace(/^\//, ''))
  const mounts = Mounts.map(({ Name = '', Source }) => (Name === '' ? Source : Name))
  const virtual = SizeRootFs > 0 ? ` (virtual ${humanSize(SizeRootFs)})` : ''
  return {
    Command: JSON.stringify(isWhole ? Command : shorten(Command, 20)),
    CreatedAt: new Date(Created * 1000).toISOString().replace(/T(.*)\..*$/, ' $1 +0000 UTC'),
    ID: isWhole ? container.Id : container.Id.slice(0, 12),
    Image: imageText(container, isWhole),
    Labels: Object.entries(Labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    LocalVolumes: `${Mounts.filter(({ Driver }) => Driver === 'local').length}`,
    Mounts: (isWhole ? mounts : mounts.map((mount) => shorten(mount, 15))).join(','),
    Names: (isWhole ? names : names.filter((name) => !name.includes('/'))).join(','),
    Networks: container.Networks.join(','),
    Platform: container.Platform ?? null,
    Ports: portsText(container.Ports),
    RunningFor: `${dockerSpan(now / 1000 - Created)} ago`,
    Size: `${humanSize(SizeRw)}${virtual}`,
    State: container.State,
    Status: container.Status,
  }
}
