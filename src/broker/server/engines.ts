import type { Duplex } from 'node:stream'
import type { Transport } from '../../transport/transport.ts'
import { type Hosts, identityOf } from './shared-connections.ts'
import type { ServedEngine } from './engine-sockets.ts'

/**
 * An engine that listens on a socket of a host. `path` is the path of the socket; `host` identifies the host and the
 * login.
 */
interface Engine {
  readonly path: string
  readonly machine: string
  readonly host: string
}

/** Connects to engines. */
export interface Engines {
  dial(transport: Transport, engine: Engine): Promise<Duplex>
  /** Whether a connection to the engine takes up one of the few sessions that an SSH server allows. */
  needsSession(engine: Engine): boolean
}

type Served = Pick<ServedEngine, 'target' | 'env' | 'path'>

export const engineOf = ({ target, env, path }: Served): Engine => ({
  path,
  machine: target.machine,
  host: identityOf(target, env),
})

/** Connects to an engine on behalf of an external program, for which the user cannot be prompted. */
export async function dialServed(hosts: Hosts, engines: Engines, served: Served): Promise<Duplex> {
  const engine = engineOf(served)
  const caller = { env: served.env, prompt: undefined }
  const { transport, release } = await hosts.use(
    served.target,
    caller,
    engines.needsSession(engine),
  )
  try {
    return (await engines.dial(transport, engine)).once('close', release)
  } catch (error) {
    release()
    throw error
  }
}
