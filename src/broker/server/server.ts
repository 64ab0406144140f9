import { once } from 'node:events'
import { rm, stat } from 'node:fs/promises'
import { type Socket, createServer } from 'node:net'
import { dirname } from 'node:path'
import type { Duplex } from 'node:stream'
import { UserError } from '../../errors.ts'
import type { Prompt } from '../../transport/ssh/connect.ts'
import type { ProcessRef, Transport } from '../../transport/transport.ts'
import { listenAt } from '../../transport/sockets/unix-socket.ts'
import { serveCommand, serveConnection, serveHosted } from './channels.ts'
import { announceConnections } from './announce-connections.ts'
import { type InBrokerConnections, openInBrokerConnections } from './in-broker-connections.ts'
import { type Engines, dialServed, engineOf } from './engines.ts'
import { type DialTarget, type ForwardsOptions, openForwards } from './forwards.ts'
import { type HostsOptions, openHosts } from './shared-connections.ts'
import { writePidFile } from './pid-file.ts'
import {
  type BrokerStatus,
  type HostedCommand,
  type HostedRun,
  type ForwardTarget,
  type Hello,
  type Request,
  type ClientMessage,
  protocolVersion,
} from '../protocol.ts'
import { serializeError } from '../serialize-error.ts'
import { type ServedEngine, type SocketsOptions, openSockets } from './engine-sockets.ts'
import { Wire } from '../frames.ts'
import { createRedactor } from '../../os/redact.ts'
import { runTraced, traceWork, ignored } from '../../os/trace.ts'

/** The dependencies and settings of the broker. */
export interface BrokerOptions extends Pick<HostsOptions, 'connect'> {
  /** The path to listen on: `brokerSocket(folder)`. */
  readonly socket: string
  /** Identifies this build of fleet. */
  readonly build: string
  /** Connects to engines. */
  readonly engines: Engines
  /** Runs a fleet command line. Rejects if the client process should run it instead. */
  readonly runCommand: (
    command: HostedCommand,
    connections: InBrokerConnections,
  ) => Promise<HostedRun>
  /** Serves a Unix socket; each connection is forwarded to a new `dial()`. */
  readonly serveSocket: SocketsOptions['serve']
  readonly isAlive: SocketsOptions['isAlive']
  /** Accepts connections to forward, and prepares connections to their targets. */
  readonly forwarding: {
    readonly listen: ForwardsOptions['listen']
    readonly openTarget: (
      target: ForwardTarget,
      machine: string,
      dialEngine: () => Promise<Duplex>,
    ) => DialTarget
  }
  /** The broker's process, which may be killed if it hangs. */
  readonly self?: ProcessRef | undefined
  /** How long an unused connection is kept, in milliseconds (default: 10 minutes). */
  readonly idleMs?: number
  /** How long the broker runs without any connection, in milliseconds (default: 15 minutes). */
  readonly idleExitMs?: number
}

/** A running broker. */
export interface BrokerServer {
  /** Resolves when the broker has stopped. */
  readonly ended: Promise<void>
  /** Stops listening, and stops the broker when all current work has ended. */
  drain(): void
  /** Stops the broker and all current work immediately. */
  stop(): Promise<void>
}

type On<Open extends Request['open']> = Extract<Request, { readonly open: Open }>

const minute = 60_000

/** A client's connection, through which the broker prompts the user and notices when the client has disconnected. */
class Session {
  readonly #wire: Wire
  #answered: ((answer: string) => void) | undefined
  #failed: ((error: Error) => void) | undefined
  readonly #gone = new AbortController()

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** Starts to receive the user's answers and to watch for the end of the connection. */
  listen(): void {
    this.#wire.listen({
      message: (message: ClientMessage) => 'answer' in message && this.#answered?.(message.answer),
      closed: () => this.leave(),
    })
  }

  leave(): void {
    const reason = new UserError('cancelled', 'the client has disconnected')
    this.#gone.abort(reason)
    this.#failed?.(reason)
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Prompts the user at the client's terminal. */
  readonly ask: Prompt = (question) =>
    new Promise((resolve, reject) => {
      if (this.#gone.signal.aborted) throw this.#gone.signal.reason
      this.#answered = resolve
      this.#failed = reject
      this.#wire.send({ ask: question })
    })
}

/** Traces the work for a client if the client is traced. */
async function traced(wire: Wire, { open, trace: asked }: Hello, work: () => Promise<void>) {
  if (asked === undefined) return work()
  const { findSecrets } = await import('../../machine/secrets/find-secrets.ts')
  const redact = createRedactor(findSecrets, {})
  const tracer = { ...asked, redact, write: (lines: string) => wire.trace(lines) }
  return runTraced(tracer, () => traceWork('broker', `serve ${open} in the broker`, work))
}

/**
 * Starts the broker, which keeps connections to hosts open so that all commands of this user share them. Access is
 * controlled by the socket's directory, which only this user can enter, because Node.js cannot determine which user has
 * connected to a socket.
 */
export async function startBrokerServer(options: BrokerOptions): Promise<BrokerServer> {
  const {
    socket,
    build,
    connect,
    engines,
    idleMs = 10 * minute,
    idleExitMs = 15 * minute,
  } = options
  const started = new Date().toISOString()
  const clients = new Set<Socket>()
  let isRetired = false
  let exitTimer: NodeJS.Timeout | undefined
  const stopped = new AbortController()
  const ended = once(stopped.signal, 'abort').then(() => {})
  const hosts = openHosts({ connect, idleMs, onClosed: exitWhenIdle })

  const sockets = openSockets({
    folder: dirname(socket),
    serve: options.serveSocket,
    dial: dialFor,
    isAlive: options.isAlive,
    onClosed: exitWhenIdle,
  })

  /** Connects to an engine on behalf of an external program, for which the user cannot be prompted. */
  function dialFor(served: Pick<ServedEngine, 'target' | 'env' | 'path'>): Promise<Duplex> {
    return dialServed(hosts, engines, served)
  }

  const forwards = openForwards({
    folder: dirname(socket),
    listen: options.forwarding.listen,
    openTarget: (target, host) =>
      options.forwarding.openTarget(target, host.target.machine, () => dialFor(host)),
    use: ({ target, env }) => hosts.use(target, { env, prompt: undefined }),
    onClosed: exitWhenIdle,
  })

  const connections = openInBrokerConnections(hosts, engines)
  const announced = announceConnections()

  /** Stops the broker when it has had nothing to do for a while, or immediately if it is retired. */
  function exitWhenIdle(): void {
    clearTimeout(exitTimer)
    const isBusy = clients.size > 0 || sockets.connections() + forwards.connections() > 0
    if (isRetired && !isBusy) void stop()
    const isServing = sockets.status().length + forwards.status().length > 0
    const isIdle = !isBusy && hosts.count() === 0 && !isServing
    if (isIdle) exitTimer = setTimeout(() => void stop(), idleExitMs)
  }

  const status = (): BrokerStatus => ({
    pid: process.pid,
    started,
    hosts: hosts.status(),
    sockets: sockets.status(),
    forwards: forwards.status(),
  })

  const server = createServer({ noDelay: true }, (client) => {
    clients.add(client)
    exitWhenIdle()
    client.once('close', () => {
      clients.delete(client)
      exitWhenIdle()
    })
    const wire = new Wire(client)
    wire.listen({ message: (hello: Hello) => answer(wire, hello) })
  })

  function answer(wire: Wire, hello: Hello): void {
    if (hello.protocol !== protocolVersion || hello.build !== build) {
      wire.send({ retired: true })
      wire.close()
      return drain()
    }
    wire.send({ accepted: true })
    const session = new Session(wire)
    session.listen()
    traced(wire, hello, () => serve(wire, hello, session)).catch((error: unknown) => {
      wire.send({ error: serializeError(error) })
      wire.close()
    })
  }

  const needsSession = (request: Request): boolean =>
    request.open === 'exec' ||
    (request.open === 'engine' && engines.needsSession(engineOf(request)))

  async function serve(wire: Wire, request: Request, session: Session): Promise<void> {
    if (request.open === 'status') {
      wire.send({ opened: status() })
      return wire.close()
    }
    if (request.open === 'stop') {
      wire.send({ opened: status() })
      wire.close()
      return stop()
    }
    if (request.open === 'forget') {
      await sockets.forget(request.files)
      wire.send({ opened: true })
      return wire.close()
    }
    if (request.open === 'stopForwards') {
      await forwards.stop(request.locals)
      wire.send({ opened: true })
      return wire.close()
    }
    if (request.open === 'forward') return serveForwards(wire, request, session)
    if (request.open === 'command') {
      const running = await options.runCommand(request, connections)
      if (session.gone.aborted) return running.abandon()
      return serveHosted(wire, running)
    }
    if (request.open === 'socket') return serveEngine(wire, request)
    if (request.open === 'accept')
      return serveConnection(wire, announced.accept(request.connection))
    const { target, env, canPrompt } = request
    const caller = { env, prompt: canPrompt ? session.ask : undefined }
    const { transport, release } = await hosts.use(target, caller, needsSession(request))
    try {
      session.gone.throwIfAborted()
      await open[request.open](wire, transport, request as never, session)
    } finally {
      release()
    }
  }

  async function serveEngine(
    wire: Wire,
    { target, env, path, file, holder }: On<'socket'>,
  ): Promise<void> {
    const engine = { target, env, path, file }
    if (holder) {
      await sockets.keep(engine, holder)
      wire.send({ opened: true })
      return wire.close()
    }
    const release = await sockets.hold(engine, (error) =>
      wire.send({ error: serializeError(error) }),
    )
    wire.listen({ closed: release })
    wire.send({ opened: true })
  }

  async function serveForwards(
    wire: Wire,
    { target, env, canPrompt, path, forwards: asked }: On<'forward'>,
    session: Session,
  ): Promise<void> {
    const caller = { env, prompt: canPrompt ? session.ask : undefined }
    const hold = async () => (await hosts.use(target, caller)).release
    wire.send({ opened: await forwards.start({ target, env, path }, asked, hold) })
    wire.close()
  }

  const open = {
    async link(wire: Wire, transport: Transport, _request: On<'link'>): Promise<void> {
      wire.send({ opened: true })
      const left = new Promise<void>((resolve) => wire.listen({ closed: resolve }))
      await Promise.race([left, transport.lost])
    },
    async dial(wire: Wire, transport: Transport, { socket: address }: On<'dial'>): Promise<void> {
      await serveConnection(wire, await transport.dial(address))
    },
    async listen(wire: Wire, transport: Transport, request: On<'listen'>): Promise<void> {
      const left = new Promise<void>((resolve) => wire.listen({ closed: resolve, end: resolve }))
      {
        await using listener = await transport.listen(request.socket, (connection) =>
          wire.send({ connection: announced.add(connection) }),
        )
        wire.send({ opened: true })
        wire.send({ listening: { port: listener.port } })
        await Promise.race([left, transport.lost])
      }
      wire.close()
    },
    async engine(wire: Wire, transport: Transport, request: On<'engine'>): Promise<void> {
      await serveConnection(wire, await engines.dial(transport, engineOf(request)))
    },
    async exec(
      wire: Wire,
      transport: Transport,
      { command, terminal, forwardAgent = false }: On<'exec'>,
      { gone }: Session,
    ): Promise<void> {
      const ending = new AbortController()
      const abandon = () => ending.abort(gone.reason)
      gone.addEventListener('abort', abandon)
      const { signal } = ending
      const running = await transport.exec(command, {
        signal,
        forwardAgent,
        ...(terminal && { terminal }),
      })
      await serveCommand(wire, running, abandon)
    },
  }

  await forwards.restore() // before clients can request the list
  if (options.self) await writePidFile(dirname(socket), options.self)
  const inode = await listenAt(server, socket)
  /** Whether the socket still belongs to this broker; another process may have removed or replaced it. */
  const isOurs = async (): Promise<boolean> =>
    (await stat(socket).catch(ignored('broker', 'inspect the socket')))?.ino === inode
  const watch = setInterval(() => void isOurs().then((ours) => ours || drain()), 10_000).unref()

  let removed: Promise<unknown> | undefined
  function drain(): void {
    if (isRetired) return
    isRetired = true
    clearInterval(watch)
    sockets.drain()
    server.close()
    removed = Promise.all([isOurs(), forwards.drain()]).then(
      async ([ours]) => ours && (await rm(socket, { force: true })),
    )
    void removed.then(exitWhenIdle)
  }

  async function stop(): Promise<void> {
    drain()
    for (const client of clients) client.destroySoon()
    await sockets[Symbol.asyncDispose]()
    await forwards[Symbol.asyncDispose]()
    await hosts[Symbol.asyncDispose]()
    await removed
    stopped.abort()
  }

  await sockets.restore()
  exitWhenIdle()
  return { ended, drain, stop }
}
