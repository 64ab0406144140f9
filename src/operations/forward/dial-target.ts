import { shellQuote } from '../../os/shell-quote.ts'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ForwardTarget } from '../../broker/protocol.ts'
import type { DialTarget } from '../../broker/server/forwards.ts'
import {
  type ContainerAddresses,
  inspectAddresses,
  listContainers,
} from '../../engine/containers.ts'
import type { Engine } from '../../engine/engine.ts'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { suggest } from '../../machine/nearest-name.ts'
import type { SocketAddress } from '../../transport/transport.ts'
import { containerWord, matchContainers } from '../fan-out/match-containers.ts'

/** A TCP address as seen from the host. */
type HostAddress = Extract<SocketAddress, { readonly port: number }>

/**
 * Resolves to the ID of the running container identified by `name`: a name, a Compose service, or the beginning of an
 * ID. Throws kind `failed` if there is none, or more than one.
 */
async function findByService(engine: Engine, name: string, cause: UserError): Promise<string> {
  const all = await listContainers(engine)
  const found = matchContainers(all, name)
  const [first] = found
  if (first !== undefined && found.length === 1) return first.Id
  if (first === undefined) {
    const near = suggest(name, all.map(containerWord))
    throw new UserError('failed', `${cause.message}${near}`, { machine: cause.machine, cause })
  }
  throw new UserError(
    'failed',
    `${found.length} running containers belong to the Compose service ${name}`,
    {
      machine: cause.machine,
      hint: `choose one of these containers: ${found.map(containerWord).join(', ')}`,
      cause,
    },
  )
}

async function inspect(engine: Engine, name: string): Promise<ContainerAddresses> {
  try {
    return await inspectAddresses(engine, name)
  } catch (error) {
    if (!(error instanceof UserError) || error.kind !== 'failed') throw error
    return await inspectAddresses(engine, await findByService(engine, name, error))
  }
}

/**
 * The address to dial for a published port, as seen from the host. For a port published on all addresses, it is
 * `localhost`.
 */
const reachableAddress = (HostIp: string): string =>
  HostIp === '' || HostIp === '0.0.0.0' || HostIp === '::' ? 'localhost' : HostIp

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65_535

function publishedAt({ NetworkSettings }: ContainerAddresses, port: number): HostAddress[] {
  const bindings = NetworkSettings.Ports[`${port}/tcp`] ?? []
  return bindings
    .filter(({ HostIp, HostPort }) => (HostIp === '' || isIP(HostIp) > 0) && isPort(HostPort))
    .map(({ HostIp, HostPort }) => ({ host: reachableAddress(HostIp), port: Number(HostPort) }))
}

/** The addresses of a container's port as seen from its host, the best one first. Throws kind `failed` if there are none. */
async function addressesOf(engine: Engine, name: string, port: number): Promise<HostAddress[]> {
  const found = await inspect(engine, name)
  if (!found.State.Running) {
    throw new UserError('failed', `the container ${name} is not running`, {
      hint: `to start the container: fleet container start ${shellQuote(name)}`,
    })
  }
  const mode = found.HostConfig.NetworkMode
  if (mode === 'host') return [{ host: 'localhost', port }]
  const [, other] = /^container:(.+)$/s.exec(mode) ?? []
  const networked = other === undefined ? found : await inspectAddresses(engine, other)
  const own = Object.values(networked.NetworkSettings.Networks)
    .flatMap(({ IPAddress, GlobalIPv6Address }) => [IPAddress, GlobalIPv6Address])
    .filter((address) => isIP(address) > 0)
    .map((host) => ({ host, port }))
  // A published port is reachable even on hosts where the containers' addresses are not, as with rootless Docker.
  const all = [...publishedAt(networked, port), ...own]
  if (all.length > 0) return all
  throw new UserError(
    'failed',
    `the container ${name} has no network address (network mode: ${mode})`,
    {
      hint: 'connect the container to a network, or publish the port',
    },
  )
}

/**
 * Prepares connections to a target from its host. A container is looked up for each connection, so that it is found
 * even if it has a new address after a restart; connections that are opened at the same time share one look-up. Throws
 * as `Transport.dial` does, and kind `failed` if the container cannot be found.
 */
export function openTarget(
  { container, address, port }: ForwardTarget,
  engine: Engine,
): DialTarget {
  if (container === undefined)
    return (transport) => transport.dial({ host: address ?? 'localhost', port })
  let lookup: Promise<HostAddress[]> | undefined
  const find = (): Promise<HostAddress[]> => {
    lookup ??= addressesOf(engine, container, port).finally(() => (lookup = undefined))
    return lookup
  }
  return async (transport) => {
    const attempt = async (): Promise<Duplex> => {
      const reasons: string[] = []
      for (const found of await find()) {
        try {
          return await transport.dial(found)
        } catch (error) {
          if (codeOf(error) !== 'REFUSED') throw error
          reasons.push(`${found.host}:${found.port}: ${messageOf(error)}`)
        }
      }
      throw Object.assign(new Error(`cannot connect to ${container}: ${reasons.join('; ')}`), {
        code: 'REFUSED',
      })
    }
    try {
      return await attempt()
    } catch (error) {
      if (codeOf(error) !== 'REFUSED') throw error
      return await attempt() // a shared look-up may have been made before a restart
    }
  }
}

/** Checks that the container of a target exists and is running. Throws kind `failed` otherwise. */
export async function checkTarget(
  { container, port }: ForwardTarget,
  engine: Engine,
): Promise<void> {
  if (container !== undefined) await addressesOf(engine, container, port)
}
