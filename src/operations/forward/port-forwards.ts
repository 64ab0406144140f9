import { isIP } from 'node:net'
import type { ForwardTarget, PortForward } from '../../broker/protocol.ts'
import { listContainers } from '../../engine/containers.ts'
import type { Engine } from '../../engine/engine.ts'
import { UserError } from '../../errors.ts'
import type { SocketAddress } from '../../transport/transport.ts'

const malformed = (text: string, why: string): UserError =>
  new UserError('usage', `cannot forward ${JSON.stringify(text)}: ${why}`, {
    hint: 'use [LOCAL:][CONTAINER:]PORT, for example 8080, 8080:80, db:5432 or 15432:db:5432',
  })

function readPort(text: string, part: string, lowest: 0 | 1): number {
  const port = Number(part)
  if (/^\d{1,5}$/.test(part) && port >= lowest && port <= 65_535) return port
  if (/^\d+\/udp$/.test(part)) throw malformed(text, 'UDP cannot be forwarded over SSH')
  throw malformed(text, `${JSON.stringify(part)} is not a port (${lowest} to 65535)`)
}

/** The container names and IDs that docker accepts. */
const containerName = /^[a-zA-Z0-9][\w.-]*$/

function readContainer(text: string, name: string): string {
  if (containerName.test(name)) return name
  throw malformed(text, `${JSON.stringify(name)} is not a valid container name`)
}

/** The local end of a forward: a port on an address, or a socket. */
type Local = { readonly address: string } | { readonly path: string }

/** Parses the value of `--address`. Throws kind `usage`. */
export function readAddress(text: string): string {
  if (text === 'localhost' || isIP(text) > 0) return text
  throw new UserError('usage', `--address: ${JSON.stringify(text)} is not an IP address`, {
    hint: "use one of this computer's addresses, localhost, or 0.0.0.0 for all addresses",
  })
}

/**
 * Parses `[LOCAL:][CONTAINER:]PORT`. `container` is the container that was specified together with the machine, if any.
 * Throws kind `usage`.
 */
export function parsePortForward(
  text: string,
  local: Local,
  container: string | undefined,
): PortForward {
  const parts = text.split(':')
  const [first = '', second = ''] = parts
  if (parts.length > 3) throw malformed(text, 'it has too many colons')
  const last = readPort(text, parts.at(-1) ?? '', 1)
  const isPort = /^\d*$/.test(first)
  const named = parts.length === 3 ? second : parts.length === 2 && !isPort ? first : undefined
  if (named !== undefined && container !== undefined)
    throw malformed(text, `the container ${container} is already specified with the machine`)
  const localText = parts.length === 3 || (parts.length === 2 && isPort) ? first : undefined
  if ('path' in local && localText !== undefined)
    throw malformed(text, 'a local port cannot be combined with --socket')
  const target: ForwardTarget = {
    container: named === undefined ? container : readContainer(text, named),
    port: last,
  }
  const listen: SocketAddress =
    'path' in local
      ? { path: local.path }
      : {
          host: local.address,
          port: localText === undefined ? last : readPort(text, localText || '0', 0),
        }
  return { listen, target }
}

/**
 * Forwards for every published TCP port of one or all running containers of a machine, from the same local port if it
 * is free.
 */
export async function publishedForwards(
  engine: Engine,
  address: string,
  container: string | undefined,
): Promise<PortForward[]> {
  const { matchContainers } = await import('../fan-out/match-containers.ts')
  const running = await listContainers(engine)
  const chosen = container === undefined ? running : matchContainers(running, container)
  if (chosen.length === 0 && container !== undefined)
    throw new UserError('failed', `no running container is named ${JSON.stringify(container)}`)
  const byPort = new Map<number, PortForward>()
  for (const { IP = '', PublicPort: port, Type } of chosen.flatMap(({ Ports }) => Ports)) {
    const isPublished = port !== undefined && Number.isInteger(port) && port > 0 && port <= 65_535
    if (!isPublished || Type !== 'tcp') continue
    const isAny = isIP(IP) === 0 || IP === '0.0.0.0' || IP === '::'
    if (byPort.has(port) && !isAny) continue
    byPort.set(port, {
      listen: { host: address, port },
      orAnyPort: true,
      target: { port, ...(!isAny && { address: IP }) },
    })
  }
  return [...byPort.values()].toSorted((a, b) => a.target.port - b.target.port)
}
