import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { childPath } from '../../os/child-path.ts'
import type { Duplex } from 'node:stream'
import { UserError } from '../../errors.ts'
import type { ProcessRef } from '../../transport/transport.ts'
import type { BrokerTarget, Login, SocketStatus } from '../protocol.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { ignored } from '../../os/trace.ts'

/** An engine that a socket forwards to. */
export interface ServedEngine {
  readonly target: BrokerTarget
  readonly env: Login['env']
  /** The path of the engine's socket on its host. */
  readonly path: string
  /** The file name of the socket. */
  readonly file: string
}

export interface SocketsOptions {
  readonly folder: string
  /** Serves a Unix socket; each connection is forwarded to a new `dial()`. */
  readonly serve: (path: string, dial: () => Promise<Duplex>) => Promise<AsyncDisposable>
  readonly dial: (engine: ServedEngine) => Promise<Duplex>
  readonly isAlive: (holder: ProcessRef) => Promise<boolean>
  /** Called when a connection or a socket has been closed. */
  readonly onClosed: () => void
}

/** The engine sockets of a broker. */
export interface Sockets extends AsyncDisposable {
  /**
   * Serves a socket until the returned function is called and there are no other holders. `onBroken` is called with the
   * error when a forwarded connection breaks because the connection to the host was lost. It is called before the
   * client of the forwarded connection notices.
   */
  hold(engine: ServedEngine, onBroken: (error: Error) => void): Promise<() => void>
  /** Serves a socket while a process runs or a docker context uses it. The next broker continues to serve it. */
  keep(engine: ServedEngine, holder: ProcessRef | 'context'): Promise<void>
  /** Removes docker contexts as holders of the given sockets. */
  forget(files: readonly string[]): Promise<void>
  /** Serves the sockets that an earlier broker recorded. */
  restore(): Promise<void>
  /** Leaves the recorded sockets to the next broker. */
  drain(): void
  status(): SocketStatus[]
  /** The number of open connections through the sockets. */
  connections(): number
}

/** A recorded socket, which the next broker serves too. */
interface RecordedSocket extends ServedEngine {
  readonly context: boolean
  readonly holders: readonly ProcessRef[]
}

interface Entry {
  engine: ServedEngine
  readonly served: Promise<AsyncDisposable>
  /** Functions to call when a connection breaks. */
  readonly users: Set<(error: Error) => void>
  context: boolean
  holders: readonly ProcessRef[]
  failure: { readonly error: unknown; readonly at: number } | undefined
}

/** How often the broker checks whether the holders are still running, in milliseconds. */
const holderCheckMs = 20_000
/**
 * How long, after a slow failure, new connections fail with the same error without another attempt, in milliseconds:
 * programs often retry several times.
 */
const failureCacheMs = 2_000
/** A failure that occurs within this time, in milliseconds (including any waiting), is not remembered. */
const quickFailureMs = 3_000

/** The variables that are recorded on disk. A proxy program that the next broker starts gets no other variables. */
const stored = /^(?:SSH_AUTH_SOCK|HOME|PATH|SHELL|USER|LOGNAME|LANG|LC_\w+|TMPDIR|XDG_\w+)$/

/** Selects the variables of a login that are recorded on disk for the next broker. */
export const storedEnvironment = (env: Login['env']): Login['env'] =>
  Object.fromEntries(Object.entries(env).filter(([name]) => stored.test(name)))

/** Serves engine sockets, and records in `folder` the sockets that outlive the commands that requested them. */
export function openSockets(options: SocketsOptions): Sockets {
  const { folder, serve, dial, isAlive, onClosed } = options
  const recordFile = join(folder, 'sockets.json')
  const entries = new Map<string, Entry>()
  let connections = 0
  let isRetired = false
  let saving = Promise.resolve()

  async function connect(entry: Entry): Promise<Duplex> {
    const { failure } = entry
    if (failure && performance.now() - failure.at < failureCacheMs) throw failure.error
    const began = performance.now()
    connections += 1
    const onClose = () => {
      connections -= 1
      onClosed()
    }
    try {
      const connection = await dial(entry.engine)
      connection.once('close', onClose).once('error', (error) => {
        if (!(error instanceof UserError) || error.kind !== 'unreachable') return // affects only this connection
        for (const onBroken of entry.users) onBroken(error)
      })
      return connection
    } catch (error) {
      const now = performance.now()
      if (now - began > quickFailureMs) entry.failure = { error, at: now }
      onClose()
      throw error
    }
  }

  /** Serves a socket. A later request for the same file name replaces the engine that the socket forwards to. */
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
      served: serve(childPath(folder, engine.file), () => connect(entry)),
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

  async function closeIfUnused(file: string, entry: Entry): Promise<void> {
    if (entry.users.size > 0 || entry.context || entry.holders.length > 0) return
    if (entries.get(file) === entry) entries.delete(file)
    await (await entry.served)[Symbol.asyncDispose]()
    onClosed()
  }

  /** Records the sockets for the next broker. */
  function save(): Promise<void> {
    saving = saving.then(async () => {
      if (isRetired) return
      const kept = [...entries.values()]
        .filter(({ context, holders }) => context || holders.length > 0)
        .map(({ engine: { env, ...engine }, context, holders }): RecordedSocket => ({
          ...{ ...engine, env: storedEnvironment(env) },
          ...{ context, holders },
        }))
      const options = { mode: 0o600, isDurable: false }
      await replaceFile(recordFile, JSON.stringify(kept), options)
    })
    return saving
  }

  /** Removes the holders whose processes have ended. */
  async function dropEndedHolders(): Promise<void> {
    for (const [file, entry] of entries) {
      const { holders } = entry
      const alive = await Promise.all(holders.map(isAlive))
      const left = holders.filter((_, index) => alive[index])
      if (left.length === holders.length) continue
      entry.holders = entry.holders.filter((one) => left.includes(one) || !holders.includes(one))
      await save()
      await closeIfUnused(file, entry)
    }
  }
  const holderCheck = setInterval(() => void dropEndedHolders(), holderCheckMs).unref()

  return {
    async hold(engine, onBroken) {
      const entry = await serveOne(engine)
      entry.users.add(onBroken)
      return () => {
        entry.users.delete(onBroken)
        void closeIfUnused(engine.file, entry)
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
        await closeIfUnused(file, entry)
      }
      await save()
    },
    async restore() {
      const text = await readFile(recordFile, 'utf8').catch(
        ignored('broker', 'read the recorded sockets', '[]'),
      )
      for (const { context, holders, ...engine } of JSON.parse(text) as RecordedSocket[]) {
        const entry = await serveOne(engine)
        entry.context ||= context
        entry.holders = [...entry.holders, ...holders]
      }
      await dropEndedHolders()
    },
    drain() {
      isRetired = true
      clearInterval(holderCheck)
    },
    status: () =>
      [...entries.values()].map(({ engine, context, holders }) => ({
        machine: engine.target.machine,
        path: childPath(folder, engine.file),
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
