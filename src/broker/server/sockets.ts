import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { below } from '../../os/below.ts'
import type { Duplex } from 'node:stream'
import { UserError } from '../../errors.ts'
import type { ProcessRef } from '../../transport/transport.ts'
import type { BrokerTarget, Login, SocketStatus } from '../protocol.ts'
import { ignored } from '../../os/trace.ts'

/** An engine that a socket leads to. */
export interface ServedEngine {
  readonly target: BrokerTarget
  readonly env: Login['env']
  /** Where the engine listens on its host. */
  readonly path: string
  /** The name of the socket. */
  readonly file: string
}

export interface SocketsOptions {
  readonly folder: string
  /** Serves a Unix socket whose every connection leads to a fresh `dial()`. */
  readonly serve: (path: string, dial: () => Promise<Duplex>) => Promise<AsyncDisposable>
  readonly dial: (engine: ServedEngine) => Promise<Duplex>
  readonly isAlive: (holder: ProcessRef) => Promise<boolean>
  /** A connection or a socket was closed. */
  readonly onClosed: () => void
}

/** The engine sockets of a broker. */
export interface Sockets extends AsyncDisposable {
  /**
   * Serves a socket until what it gives is called, and then as long as somebody else wants it. `broke` is called with
   * the loss of the host that breaks a connection through it, before its client is told.
   */
  hold(engine: ServedEngine, broke: (error: Error) => void): Promise<() => void>
  /** Serves a socket as long as a process lives, or a context names it; the next broker does too. */
  keep(engine: ServedEngine, holder: ProcessRef | 'context'): Promise<void>
  /** No context names these any more. */
  forget(files: readonly string[]): Promise<void>
  /** Serves what an earlier broker has kept. */
  restore(): Promise<void>
  /** Leaves what is kept to the next broker. */
  drain(): void
  status(): SocketStatus[]
  /** How many connections run through them. */
  connections(): number
}

/** What outlasts a broker. */
interface Kept extends ServedEngine {
  readonly context: boolean
  readonly holders: readonly ProcessRef[]
}

interface Entry {
  engine: ServedEngine
  readonly served: Promise<AsyncDisposable>
  /** What those who hold it want to be told of connections that break. */
  readonly users: Set<(error: Error) => void>
  context: boolean
  holders: readonly ProcessRef[]
  failure: { readonly error: unknown; readonly at: number } | undefined
}

/** How often to see whether the processes still live that sockets are kept for. */
const lookMs = 20_000
/** How long a failure is told to whoever asks, where finding out takes long: programs ask several times in a row. */
const failureMs = 2_000
/** What fails within this time, all waits before included, may as well be tried again. */
const quickMs = 3_000

/** Serves engine sockets, and remembers in the folder those that outlast the commands that asked. */
export function openSockets(options: SocketsOptions): Sockets {
  const { folder, serve, dial, isAlive, onClosed } = options
  const list = join(folder, 'sockets.json')
  const entries = new Map<string, Entry>()
  let connections = 0
  let isRetired = false
  let saving = Promise.resolve()

  async function connect(entry: Entry): Promise<Duplex> {
    const { failure } = entry
    if (failure && performance.now() - failure.at < failureMs) throw failure.error
    const began = performance.now()
    connections += 1
    const leave = () => {
      connections -= 1
      onClosed()
    }
    try {
      const connection = await dial(entry.engine)
      connection.once('close', leave).once('error', (error) => {
        if (!(error instanceof UserError) || error.kind !== 'unreachable') return // one connection's own
        for (const broke of entry.users) broke(error)
      })
      return connection
    } catch (error) {
      const now = performance.now()
      if (now - began > quickMs) entry.failure = { error, at: now }
      leave()
      throw error
    }
  }

  /** The entry of a socket that is served. What was said last of its engine is what leads there. */
  async function serveOne(engine: ServedEngine): Promise<Entry> {
    const known = entries.get(engine.file)
    if (known) {
      known.engine = engine
      known.failure = undefined
      await known.served
      return known
    }
    const entry: Entry = {
      engine,
      served: serve(below(folder, engine.file), () => connect(entry)),
      users: new Set(),
      context: false,
      holders: [],
      failure: undefined,
    }
    entries.set(engine.file, entry)
    try {
      await entry.served
      return entry
    } catch (error) {
      entries.delete(engine.file)
      throw error
    }
  }

  async function closeUnlessWanted(file: string, entry: Entry): Promise<void> {
    if (entry.users.size > 0 || entry.context || entry.holders.length > 0) return
    if (entries.get(file) === entry) entries.delete(file)
    await (await entry.served)[Symbol.asyncDispose]()
    onClosed()
  }

  /** Writes the list down, for a broker that comes after this one. */
  function save(): Promise<void> {
    saving = saving.then(async () => {
      if (isRetired) return
      const kept = [...entries.values()]
        .filter(({ context, holders }) => context || holders.length > 0)
        .map(({ engine, context, holders }): Kept => ({ ...engine, context, holders }))
      await writeFile(`${list}.new`, JSON.stringify(kept), { mode: 0o600 })
      await rename(`${list}.new`, list)
    })
    return saving
  }

  /** Lets go of what only processes wanted that live no more. */
  async function look(): Promise<void> {
    for (const [file, entry] of entries) {
      const { holders } = entry
      const alive = await Promise.all(holders.map(isAlive))
      const left = holders.filter((_, index) => alive[index])
      if (left.length === holders.length) continue
      entry.holders = entry.holders.filter((one) => left.includes(one) || !holders.includes(one))
      await save()
      await closeUnlessWanted(file, entry)
    }
  }
  const looking = setInterval(() => void look(), lookMs).unref()

  return {
    async hold(engine, broke) {
      const entry = await serveOne(engine)
      entry.users.add(broke)
      return () => {
        entry.users.delete(broke)
        void closeUnlessWanted(engine.file, entry)
      }
    },
    async keep(engine, holder) {
      const entry = await serveOne(engine)
      if (holder === 'context') entry.context = true
      else {
        const others = entry.holders.filter(({ pid }) => pid !== holder.pid)
        entry.holders = [...others, holder]
      }
      await save()
    },
    async forget(files) {
      for (const file of files) {
        const entry = entries.get(file)
        if (entry === undefined) continue
        entry.context = false
        await closeUnlessWanted(file, entry)
      }
      await save()
    },
    async restore() {
      const text = await readFile(list, 'utf8').catch(
        ignored('broker', 'read the list of sockets', '[]'),
      )
      for (const { context, holders, ...engine } of JSON.parse(text) as Kept[]) {
        const entry = await serveOne(engine)
        entry.context ||= context
        entry.holders = [...entry.holders, ...holders]
      }
      await look()
    },
    drain() {
      isRetired = true
      clearInterval(looking)
    },
    status: () =>
      [...entries.values()].map(({ engine, context, holders }) => ({
        machine: engine.target.machine,
        path: below(folder, engine.file),
        context,
        holders: holders.map(({ pid }) => pid),
      })),
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      await saving
      const served = await Promise.all([...entries.values()].map(({ served }) => served))
      await Promise.all(served.map((one) => one[Symbol.asyncDispose]()))
    },
  }
}
