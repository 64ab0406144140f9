import type { Duplex } from 'node:stream'
import type { Transport } from '../../transport/transport.ts'
import { type Hosts, identityOf } from './hosts.ts'
import type { ServedEngine } from './sockets.ts'

/** An engine at a path of a host, which `host` tells from every other. */
interface Engine {
  readonly path: string
  readonly machine: string
  readonly host: string
}

/** How engines are reached. */
export interface Engines {
  dial(transport: Transport, engine: Engine): Promise<Duplex>
  /** Whether a connection takes one of the few sessions that an SSH server gives. */
  needsSession(engine: Engine): boolean
}

type Served = Pick<ServedEngine, 'target' | 'env' | 'path'>

export const engineOf = ({ target, env, path }: Served): Engine => ({
  path,
  machine: target.machine,
  host: identityOf(target, env),
})

/** Connects to an engine for somebody who cannot be asked. */
export async function dialKept(hosts: Hosts, engines: Engines, served: Served): Promise<Duplex> {
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
