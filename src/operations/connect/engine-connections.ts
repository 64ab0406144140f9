import type { Duplex } from 'node:stream'
import type { Dial } from '../../engine/engine.ts'
import type { Transport } from '../../transport/transport.ts'
import { type EngineCache, dialEngine } from './reach-engine.ts'
import { ignored } from '../../os/trace.ts'

/** Identifies an engine whose connections are cached. */
interface EngineRef {
  readonly path: string
  readonly machine: string
  /** A key for the host, which stays the same for all connections to it. */
  readonly host: string
}

/** How long a spare connection is kept, in milliseconds. dockerd closes an idle one after 5 min (ReadHeaderTimeout). */
const spareMs = 120_000

/** Keeps a spare connection open, so that the next call does not have to wait for the host. */
function prewarm(dial: Dial, cache: EngineCache): Dial {
  let spare: Duplex | undefined
  let timer: NodeJS.Timeout | undefined
  const drop = () => {
    clearTimeout(timer)
    spare?.destroy()
    spare = undefined
  }
  /** Called when the engine closes the spare connection, or when the SSH connection is lost. */
  const lose = () => drop()
  const prepare = async () => {
    // A spare relay command would occupy one of the few sessions that an SSH server allows.
    if (cache.route !== 'socket' || spare) return
    const connection = await dial()
    if (spare) return void connection.destroy()
    spare = connection
    connection
      .on('error', () => {})
      .on('readable', lose)
      .on('close', lose)
    timer = setTimeout(() => {
      drop()
      void prepare().catch(ignored('engine', 'open a spare connection'))
    }, spareMs).unref()
  }
  return async () => {
    clearTimeout(timer)
    const ready = spare
    spare = undefined
    ready?.off('readable', lose).off('close', lose)
    const connection = ready ?? (await dial())
    void prepare().catch(ignored('engine', 'open a spare connection')) // the next dial reports the error
    return connection
  }
}

/** Connections to the engines of all hosts, for the lifetime of the process. */
export interface EngineConnections {
  /** Opens a connection by the route that worked before, and a spare one for the next call. */
  dial(transport: Transport, engine: EngineRef): Promise<Duplex>
  /**
   * Whether a connection to the engine occupies one of the few sessions that an SSH server allows, as far as is known.
   */
  needsSession(engine: EngineRef): boolean
}

/** Caches the route to each engine, and keeps a spare connection to each engine over each SSH connection. */
export function openEngineConnections(): EngineConnections {
  const caches = new Map<string, EngineCache>()
  const dials = new WeakMap<Transport, Map<string, Dial>>()
  const cacheOf = ({ host, path }: EngineRef): EngineCache => {
    const key = `${host} ${path}`
    const cache = caches.get(key) ?? {}
    caches.set(key, cache)
    return cache
  }
  return {
    needsSession(engine) {
      const { route = 'socket' } = cacheOf(engine)
      return route !== 'socket'
    },
    dial(transport, engine) {
      const { path, machine } = engine
      const known = dials.get(transport) ?? new Map<string, Dial>()
      dials.set(transport, known)
      const cache = cacheOf(engine)
      const dial = known.get(path) ?? prewarm(dialEngine(transport, path, machine, cache), cache)
      known.set(path, dial)
      return dial()
    },
  }
}
