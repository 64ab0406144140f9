import { shellQuote } from '../../os/shell-quote.ts'
import { readFile } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { UserError, messageOf } from '../../errors.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { ignored, traceError } from '../../os/trace.ts'
import type { SocketAddress, Transport } from '../../transport/transport.ts'
import type { BrokerTarget, ForwardStatus, ForwardTarget, PortForward } from '../protocol.ts'
import { forwardsFile } from '../runtime-dir.ts'
import { type ServedEngine, storedEnvironment } from './engine-sockets.ts'

/** How to log in to the host of a forward, and the path of its engine's socket. */
type ForwardHost = Pick<ServedEngine, 'target' | 'env' | 'path'>

/** A local port or socket on which connections are accepted. Disposing of it also closes the open connections. */
export interface ListeningPort extends AsyncDisposable {
  /** The TCP port; absent for a Unix socket. */
  readonly port?: number | undefined
  /** The number of open connections. */
  connections(): number
  /** Stops accepting connections. */
  close(): Promise<void>
}

/** Connects to a target over a connection to its host. */
export type DialTarget = (transport: Transport) => Promise<Duplex>

export interface ForwardsOptions {
  readonly folder: string
  /** Accepts connections; each is forwarded to a new `dial()`. Throws kind `failed` if it cannot listen. */
  readonly listen: (
    address: SocketAddress,
    dial: () => Promise<Duplex>,
    onClosed: () => void,
  ) => Promise<ListeningPort>
  /** Prepares connections to a target; containers are looked up on the engine for each connection. */
  readonly openTarget: (target: ForwardTarget, host: ForwardHost) => DialTarget
  /** Resolves to the shared connection to a host, which stays open until `release` is called. */
  readonly use: (
    host: ForwardHost,
  ) => Promise<{ readonly transport: Transport; readonly release: () => void }>
  /** Called when a connection or a forward has been closed. */
  readonly onClosed: () => void
}

/** The forwards of a broker. */
export interface Forwards extends AsyncDisposable {
  /**
   * Forwards ports, either all of them or none, until they are stopped; the next broker continues to forward them.
   * `hold` keeps the connection to the host open. Throws kind `failed` if a port cannot be opened.
   */
  start(
    host: ForwardHost,
    forwards: readonly PortForward[],
    hold: () => Promise<() => void>,
  ): Promise<readonly ForwardStatus[]>
  /** Stops the forwards that listen on the given local addresses. */
  stop(locals: readonly string[]): Promise<void>
  /** Restores the forwards that an earlier broker recorded. */
  restore(): Promise<void>
  /** Stops accepting connections, and leaves the recorded forwards to the next broker. */
  drain(): Promise<void>
  status(): ForwardStatus[]
  /** The number of open connections. */
  connections(): number
}

/** A forward as it is recorded on disk. */
interface RecordedForward extends ForwardHost {
  readonly listen: SocketAddress
  readonly forwardTo: ForwardTarget
}

interface Entry {
  host: ForwardHost
  /** The local address. If port 0 was requested, it contains the port that the system chose. */
  listen: SocketAddress
  readonly target: ForwardTarget
  dial: DialTarget
  port: ListeningPort | undefined
  release: (() => void) | undefined
  error: ForwardStatus['error']
}

/** The interval between attempts to open a port, in milliseconds. */
const retryMs = 2_000

/** Formats a local address, which identifies a forward. */
export function formatLocal(listen: SocketAddress): string {
  if ('path' in listen) return listen.path
  return `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${listen.port}`
}

const describeTarget = (machine: string, { container, port }: ForwardTarget): string =>
  `${machine} ${container === undefined ? 'port ' : `${container}:`}${port}`

const statusOf = ({ host, listen, target, port, error }: Entry): ForwardStatus => ({
  local: formatLocal(listen),
  machine: host.target.machine,
  ...(target.container !== undefined && { container: target.container }),
  port: target.port,
  connections: port?.connections() ?? 0,
  ...(error && { error }),
})

const sameTarget = (a: ForwardTarget, b: ForwardTarget): boolean =>
  a.container === b.container && a.address === b.address && a.port === b.port

/**
 * Whether two targets are the same machine. The name alone does not identify a machine, since another inventory may
 * contain the same name. If the address has changed, the host keys still identify the host.
 */
const sameHost = (a: BrokerTarget, b: BrokerTarget): boolean =>
  a.machine === b.machine &&
  ((a.address === b.address && a.port === b.port) ||
    a.hostKeys.some((key) => b.hostKeys.includes(key)))

/** Manages the forwarded ports, and records them in `folder` for the next broker. */
export function openForwards(options: ForwardsOptions): Forwards {
  const { folder, listen, openTarget, use, onClosed } = options
  const entries = new Set<Entry>()
  let isRetired = false
  let saving = Promise.resolve()

  const failed = (entry: Entry, error: unknown) => {
    entry.error = { message: messageOf(error), at: new Date().toISOString() }
  }

  async function connect(entry: Entry): Promise<Duplex> {
    try {
      const { transport, release } = await use(entry.host)
      try {
        const stream = await entry.dial(transport)
        entry.error = undefined
        return stream.once('close', release)
      } catch (error) {
        release()
        throw error
      }
    } catch (error) {
      failed(entry, error)
      traceError('broker', `forward a connection to ${entry.host.target.machine}`, error)
      throw error
    }
  }

  async function open(entry: Entry): Promise<void> {
    const port = await listen(entry.listen, () => connect(entry), onClosed)
    entry.port = port
    if ('port' in entry.listen && port.port !== undefined)
      entry.listen = { ...entry.listen, port: port.port }
  }

  async function close(entry: Entry): Promise<void> {
    entries.delete(entry)
    entry.release?.()
    await entry.port?.[Symbol.asyncDispose]()
    onClosed()
  }

  const newEntry = (host: ForwardHost, address: SocketAddress, target: ForwardTarget): Entry => ({
    ...{ host, listen: address, target, dial: openTarget(target, host) },
    ...{ port: undefined, release: undefined, error: undefined },
  })

  /** Finds an existing forward that fulfills the request. Throws if another forward uses the local address. */
  function known(host: ForwardHost, { listen: address, orAnyPort, target }: PortForward) {
    const isSame = (entry: Entry) =>
      sameHost(entry.host.target, host.target) && sameTarget(entry.target, target)
    if (orAnyPort === true) {
      const same = [...entries].find(
        (entry) => isSame(entry) && 'port' in entry.listen && 'port' in address,
      )
      if (same) return same
    }
    const local = formatLocal(address)
    const found = [...entries].find((entry) => formatLocal(entry.listen) === local)
    if (found === undefined || isSame(found) || orAnyPort === true)
      return found && isSame(found) ? found : undefined
    throw new UserError(
      'failed',
      `${local} is already forwarded to ${describeTarget(found.host.target.machine, found.target)}`,
      {
        hint: `choose another local port, or stop the existing forward: fleet forward stop ${shellQuote(local)}`,
      },
    )
  }

  async function openNew(host: ForwardHost, forward: PortForward): Promise<Entry> {
    const entry = newEntry(host, forward.listen, forward.target)
    try {
      await open(entry)
    } catch (error) {
      if (forward.orAnyPort !== true || !('port' in entry.listen)) throw error
      entry.listen = { ...entry.listen, port: 0 }
      await open(entry)
    }
    entries.add(entry)
    return entry
  }

  /** Records the forwards for the next broker. */
  function save(): Promise<void> {
    saving = saving.then(async () => {
      if (isRetired) return
      const kept = [...entries].map(({ host, listen, target }): RecordedForward => ({
        ...{ ...host, env: storedEnvironment(host.env) },
        ...{ listen, forwardTo: target },
      }))
      const text = JSON.stringify(kept)
      await replaceFile(forwardsFile(folder), text, { mode: 0o600, isDurable: false })
    })
    return saving
  }

  /** Opens forwards whose ports were in use when the broker started. */
  async function retryClosed(): Promise<void> {
    for (const entry of entries) {
      if (entry.port !== undefined || isRetired) continue
      try {
        await open(entry)
        entry.error = undefined
      } catch (error) {
        failed(entry, error)
      }
    }
  }
  const retrying = setInterval(() => void retryClosed(), retryMs).unref()

  return {
    async start(host, forwards, hold) {
      const opened: Entry[] = []
      const all: Entry[] = []
      try {
        for (const forward of forwards) {
          const same = known(host, forward)
          const entry = same ?? (await openNew(host, forward))
          if (same === undefined) opened.push(entry)
          all.push(entry)
        }
        for (const entry of all) {
          const release = await hold()
          entry.release?.()
          Object.assign(entry, { host, release, dial: openTarget(entry.target, host) })
        }
      } catch (error) {
        for (const entry of opened) await close(entry)
        throw error
      }
      await retryClosed()
      await save()
      return all.map(statusOf)
    },
    async stop(locals) {
      const stopped = [...entries].filter(({ listen }) => locals.includes(formatLocal(listen)))
      for (const entry of stopped) await close(entry)
      await save()
    },
    async restore() {
      const text = await readFile(forwardsFile(folder), 'utf8').catch(
        ignored('broker', 'read the recorded forwards', '[]'),
      )
      for (const { listen: address, forwardTo, ...host } of JSON.parse(text) as RecordedForward[])
        entries.add(newEntry(host, address, forwardTo))
      await retryClosed()
    },
    async drain() {
      isRetired = true
      clearInterval(retrying)
      await Promise.all([...entries].map(async ({ port }) => port?.close()))
    },
    status: () => [...entries].map(statusOf),
    connections: () => [...entries].reduce((sum, { port }) => sum + (port?.connections() ?? 0), 0),
    async [Symbol.asyncDispose]() {
      await saving
      await Promise.all([...entries].map(async ({ port }) => port?.[Symbol.asyncDispose]()))
    },
  }
}
