import type { Duplex } from 'node:stream'
import type { Dial } from '../../engine/engine.ts'
import type { Transport } from '../../transport/transport.ts'
import { type EngineCache, dialEngine } from './reach-engine.ts'

/** An engine, as one who keeps connections sees it. */
interface KeptEngine {
  readonly path: string
  readonly machine: string
  /** Tells its host from every other, whatever connection leads there. */
  readonly host: string
}

/** How long a spare connection may wait. Engines hang up on a silent one after 5 min (dockerd's ReadHeaderTimeout). */
const spareMs = 120_000

/** Keeps one connection ahead, so that whoever asks for one does not wait for the host. */
function prewarm(dial: Dial, memory: EngineCache): Dial {
  let spare: Duplex | undefined
  let timer: NodeJS.Timeout | undefined
  const drop = () => {
    clearTimeout(timer)
    spare?.destroy()
    spare = undefined
  }
  /** The engine hung up on it, or its link is gone. */
  const lose = () => drop()
  const prepare = async () => {
    // Through a command, a spare would take one of the few sessions that an SSH server gives.
    if (memory.way !== 'socket' || spare) return
    const connection = await dial()
    if (spare) return void connection.destroy()
    spare = connection
    connection
      .on('error', () => {})
      .on('readable', lose)
      .on('close', lose)
    timer = setTimeout(() => {
      drop()
      void prepare().catch(() => {})
    }, spareMs).unref()
  }
  return async () => {
    clearTimeout(timer)
    const ready = spare
    spare = undefined
    ready?.off('readable', lose).off('close', lose)
    const connection = ready ?? (await dial())
    void prepare().catch(() => {}) // whoever needs the next one will hear why
    return connection
  }
}

/** The engines of all hosts, for as long as the process runs. */
export interface KeptEngines {
  /** Opens a connection, on the way that was found before, and one ahead. */
  dial(transport: Transport, engine: KeptEngine): Promise<Duplex>
  /** Whether a connection takes one of the few sessions that an SSH server gives, as far as is known. */
  needsSession(engine: KeptEngine): boolean
}

/** Remembers for each host how its engine is reached, and is one connection ahead on each link. */
export function keepEngines(): KeptEngines {
  const memories = new Map<string, EngineCache>()
  const dials = new WeakMap<Transport, Map<string, Dial>>()
  const memoryOf = ({ host, path }: KeptEngine): EngineCache => {
    const place = `${host} ${path}`
    const memory = memories.get(place) ?? {}
    memories.set(place, memory)
    return memory
  }
  return {
    needsSession(engine) {
      const { way = 'socket' } = memoryOf(engine)
      return way !== 'socket'
    },
    dial(transport, engine) {
      const { path, machine } = engine
      const known = dials.get(transport) ?? new Map<string, Dial>()
      dials.set(transport, known)
      const memory = memoryOf(engine)
      const dial = known.get(path) ?? prewarm(dialEngine(transport, path, machine, memory), memory)
      known.set(path, dial)
      return dial()
    },
  }
}
