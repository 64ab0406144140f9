import type { Socket } from 'node:net'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { childPath } from '../../os/child-path.ts'
import { UserError, messageOf } from '../../errors.ts'
import type { SshOptions } from '../../transport/ssh/connect.ts'
import type {
  CommandLine,
  EngineSocket,
  ExecOptions,
  ProcessRef,
  RunningCommand,
  Transport,
} from '../../transport/transport.ts'
import { BrokerUnavailable, findBroker } from './find.ts'
import { BrokerGone, BrokerHung, waitUntilOpened, sendHello } from './handshake.ts'
import {
  type ServerMessage,
  type BrokerStatus,
  type BrokerTarget,
  type ForwardStatus,
  type Login,
  type PortForward,
  type Request,
  loginEnvironment,
  protocolVersion,
} from '../protocol.ts'
import { joinCommand } from './remote-command.ts'
import { forwardsFile } from '../runtime-dir.ts'
import { joinListener } from './remote-listener.ts'
import { deserializeError } from '../serialize-error.ts'
import type { Verdict } from '../server/pid-file.ts'
import { RemoteConnection } from './remote-connection.ts'
import type { BrokerLocation } from './start.ts'
import type { ServedEngine } from '../server/engine-sockets.ts'
import { Wire } from '../frames.ts'
import { ignored, traceError } from '../../os/trace.ts'

/** The client side of the broker, for one command. */
export interface BrokerClient {
  /**
   * Connects to a host over the broker's shared connection. Rejects as `connectSsh` does. Calls `direct` to
   * connect from this process if the broker is not available.
   */
  connect(
    target: BrokerTarget,
    options: SshOptions,
    direct: () => Promise<Transport>,
  ): Promise<Transport>
  /**
   * Serves a local Unix socket named `engine.file` that forwards to an engine. The socket exists until the result is
   * disposed of; if `holder` is a process, until that process exits; if it is `context`, until `forget` is called.
   */
  serveEngine(
    engine: ServedEngine,
    options: SshOptions,
    holder?: ProcessRef | 'context',
  ): Promise<EngineSocket & AsyncDisposable>
  /**
   * Resolves to the state of the broker: its connections, sockets and forwards. Resolves to undefined if the broker is
   * not running, and to `retired` if it belongs to another build of fleet and exits when its current work is done.
   */
  status(): Promise<BrokerStatus | 'retired' | undefined>
  /**
   * Forwards ports of this computer to a host, either all of them or none, until they are stopped. Rejects as
   * `connectSsh` does, with kind `failed` if a port cannot be opened, or with {@link BrokerUnavailable}. `host.path` is
   * the path of the engine's socket on the host.
   */
  forward(
    host: Pick<ServedEngine, 'target' | 'env' | 'path'>,
    forwards: readonly PortForward[],
    options: SshOptions,
  ): Promise<readonly ForwardStatus[]>
  /** Lists the forwarded ports. A broker that died without being stopped is restarted and restores them. */
  forwards(): Promise<readonly ForwardStatus[]>
  /** Stops the forwards that listen on the given local addresses. */
  stopForwards(locals: readonly string[]): Promise<void>
  /** Removes docker contexts as users of the engine sockets with the given names. */
  forget(files: readonly string[]): Promise<void>
  /**
   * Stops the broker and everything that runs through it. Resolves as `status` does, with the broker's last state, or
   * to `killed` if the broker did not respond and was killed.
   */
  stop(): Promise<BrokerStatus | 'retired' | 'killed' | undefined>
}

/** How many times a request is sent to a busy, unresponsive broker before the command connects directly. */
const maxWaits = 6
/**
 * How many times a broker that exited or belongs to another build is replaced before the command connects
 * directly.
 */
const maxStarts = 3

/**
 * Creates the error for a command whose broker stopped. `machine` is undefined if the command used several machines.
 */
export const brokerEnded = (machine: string | undefined): UserError =>
  new UserError(
    'unreachable',
    `the connection to ${machine ?? 'the machines'} was lost: fleet's background process (the broker) stopped`,
    {
      machine,
      hint: `remote commands may still be running; to show the state of ${machine ?? 'the machines'}: fleet status ${machine ?? '--all'}`,
    },
  )

/** Returns the login data for a request. */
const loginOf = (env: Login['env'], target: BrokerTarget, { prompt }: SshOptions): Login => ({
  env: loginEnvironment(env, target),
  canPrompt: prompt !== undefined,
})

/** Creates a client for this user's broker. The broker is looked up on first use, and started if it is not running. */
export function openBrokerClient(location: BrokerLocation): BrokerClient {
  const identity = { protocol: protocolVersion, build: location.build }
  let starting: Promise<Socket> | undefined
  let unavailable: BrokerUnavailable | undefined

  /** Connects to the broker, and starts it if it is not running. Concurrent callers wait for the same start. */
  async function connectOrStart(): Promise<Socket> {
    const running = await findBroker(location.folder)
    if (running) return running
    if (starting === undefined) {
      starting = import('./start.ts').then(({ launchBroker }) => launchBroker(location))
      void starting.catch(ignored('broker', 'start the broker')).then(() => (starting = undefined))
      return await starting
    }
    await starting
    return await connectOrStart()
  }

  /**
   * Sends a request, and waits until the broker accepts it. Resolves to undefined if the broker exited, to `retired` if
   * it belongs to another build, and to `killed` if it did not respond and was killed.
   */
  async function sendRequest(
    socket: Socket,
    request: Request,
  ): Promise<Wire | 'retired' | 'killed' | undefined> {
    const askedAt = Date.now()
    let checkHang: (() => Promise<Verdict>) | undefined
    for (let tried = 1, asked: Socket | undefined = socket; asked; tried += 1) {
      try {
        return await sendHello(asked, { ...request, ...identity })
      } catch (error) {
        if (!(error instanceof BrokerHung)) throw error
        traceError('broker', 'get an answer from the broker in time', error)
        const { openHangCheck } = await import('../server/pid-file.ts')
        checkHang ??= openHangCheck(location.folder, askedAt, location.findProcess)
        const verdict = await checkHang()
        if (verdict === 'gone') return 'killed'
        if (verdict === 'unknown' || tried === maxWaits) throw error
        asked = await findBroker(location.folder)
      }
    }
    return undefined
  }

  /**
   * Sends a request, and resolves to the broker's answer when the request has been carried out. Rejects as `open` does.
   */
  async function ask(request: Request, options: SshOptions, machine: string): Promise<unknown> {
    let answer: unknown
    const wire = await open(request, options, machine, (opened) => (answer = opened))
    wire.destroy()
    return answer
  }

  /**
   * Sends a request and waits until it has been carried out. Rejects with `BrokerUnavailable` if nothing was done
   * because no broker is available.
   */
  async function open(
    request: Request,
    options: SshOptions,
    machine: string,
    take: (opened: unknown) => void = () => {},
  ): Promise<Wire> {
    if (unavailable) throw unavailable
    for (let attempt = 0; attempt < maxStarts; attempt += 1) {
      options.signal?.throwIfAborted()
      const wire = await sendRequest(await connectOrStart(), request)
      if (!(wire instanceof Wire)) continue
      try {
        take(await waitUntilOpened(wire, options))
        return wire
      } catch (error) {
        if (!(error instanceof BrokerGone)) throw error
        // The command may already have started, and must not run twice.
        if (request.open === 'exec') throw brokerEnded(machine)
      }
    }
    throw new BrokerUnavailable("fleet's background process (the broker) did not answer")
  }

  /**
   * Sends a request with `send` to the running broker, if any. `hint` returns the hint for the error that is thrown if
   * the broker does not respond.
   */
  async function query<Else>(
    send: (socket: Socket) => Promise<Wire | Else>,
    hint: () => Promise<string>,
  ): Promise<BrokerStatus | Else | undefined> {
    const socket = await findBroker(location.folder).catch((cause: unknown) => {
      throw new UserError('failed', `cannot connect to the broker: ${messageOf(cause)}`, {
        hint: `make sure that you own ${location.folder} and that its mode is 0700`,
        cause,
      })
    })
    const wire =
      socket &&
      (await send(socket).catch(async (cause: unknown) => {
        if (!(cause instanceof BrokerHung)) throw cause
        throw new UserError('failed', 'the broker is running but does not respond', {
          hint: await hint(),
          cause,
        })
      }))
    if (!(wire instanceof Wire)) return wire
    const status = await waitUntilOpened(wire, {})
    wire.destroy()
    return status as BrokerStatus
  }

  const serveEngine: BrokerClient['serveEngine'] = async (engine, options, holder) => {
    const { env, ...where } = engine
    const login = loginOf(env, engine.target, options)
    const request = { ...where, ...login, open: 'socket', holder } as const
    try {
      const wire = await open(request, options, engine.target.machine)
      return {
        path: childPath(location.folder, engine.file),
        lost: rejectWhenLost(wire, () => brokerEnded(engine.target.machine)),
        async [Symbol.asyncDispose]() {
          wire.listen({})
          wire.destroy()
        },
      }
    } catch (error) {
      if (!(error instanceof BrokerUnavailable)) throw error
      throw new UserError('failed', `cannot open a socket for the engine: ${error.message}`, {
        hint: `see ${join(location.folder, 'broker.log')}`,
        cause: error,
      })
    }
  }

  return {
    serveEngine,
    async connect(target, options, direct) {
      const { machine } = target
      const hostFields = { target, ...loginOf(options.env, target, options) }
      let directTransport: Promise<Transport> | undefined
      const withFallBack = async <Value>(
        viaBroker: () => Promise<Value>,
        otherwise: (transport: Transport) => Promise<Value>,
      ): Promise<Value> => {
        try {
          return await viaBroker()
        } catch (error) {
          if (!(error instanceof BrokerUnavailable)) throw error
          unavailable = error
          traceError(
            'broker',
            `reach ${machine} through the broker (connecting directly instead)`,
            error,
          )
          directTransport ??= direct()
          return await otherwise(await directTransport)
        }
      }
      const brokenError = () => brokerEnded(machine)
      const exec = async (command: CommandLine, asked: ExecOptions): Promise<RunningCommand> => {
        const { terminal, signal, forwardAgent } = asked
        const request = {
          ...hostFields,
          open: 'exec',
          command,
          forwardAgent,
          ...(terminal && { terminal }),
        } as const
        const during = signal ? { ...options, signal } : options
        return joinCommand(await open(request, during, machine), signal, brokenError)
      }
      const dial = async (request: Request) =>
        new RemoteConnection(await open(request, options, machine), brokenError)
      const listen: Transport['listen'] = async (socket, take) => {
        const wire = await open({ ...hostFields, open: 'listen', socket }, options, machine)
        const accept = async (connection: string) => {
          try {
            take(await dial({ open: 'accept', connection }))
          } catch (error) {
            traceError('broker', `accept a connection from ${machine}`, error)
          }
        }
        return await joinListener(wire, (connection) => void accept(connection), brokenError)
      }

      const watch = await withFallBack<Wire | Transport>(
        () => open({ ...hostFields, open: 'link' }, options, machine),
        async (transport) => transport,
      )
      if (!(watch instanceof Wire)) return watch
      return {
        exec: (command, asked = {}) =>
          withFallBack(
            () => exec(command, asked),
            (transport) => transport.exec(command, asked),
          ),
        dial: (socket) =>
          withFallBack(
            () => dial({ ...hostFields, open: 'dial', socket }),
            (transport) => transport.dial(socket),
          ),
        listen: (socket, take) =>
          withFallBack(
            () => listen(socket, take),
            (transport) => transport.listen(socket, take),
          ),
        relay: {
          dialEngine: (path, otherwise) =>
            withFallBack(() => dial({ ...hostFields, open: 'engine', path }), otherwise),
          serveEngine: (path, file) => serveEngine({ ...hostFields, path, file }, options),
        },
        lost: rejectWhenLost(watch, brokenError),
        async [Symbol.asyncDispose]() {
          watch.listen({})
          watch.destroy()
          await (
            await directTransport?.catch(ignored('ssh', `connect to ${machine}`))
          )?.[Symbol.asyncDispose]()
        },
      }
    },
    async forward({ target, env, path }, forwards, options) {
      const login = loginOf(env, target, options)
      const request = { ...{ target, path, forwards }, ...login, open: 'forward' } as const
      return (await ask(request, options, target.machine)) as readonly ForwardStatus[]
    },
    async forwards() {
      const recorded = await readFile(forwardsFile(location.folder), 'utf8').catch(
        ignored('broker', 'read the recorded forwards'),
      )
      if (recorded === undefined || recorded === '[]') return []
      return ((await ask({ open: 'status' }, { env: {} }, '')) as BrokerStatus).forwards
    },
    async stopForwards(locals) {
      await ask({ open: 'stopForwards', locals }, { env: {} }, '')
    },
    status: () =>
      query(
        (socket) => sendHello(socket, { open: 'status', ...identity }),
        async () => 'stop the broker with fleet broker stop; the next command will start a new one',
      ),
    stop: () =>
      query(
        (socket) => sendRequest(socket, { open: 'stop' }),
        async () => {
          const { stopHint } = await import('../server/pid-file.ts')
          return stopHint(location.folder)
        },
      ),
    async forget(files) {
      if (files.length > 0) (await open({ open: 'forget', files }, { env: {} }, '')).destroy()
    },
  }
}

/** Rejects when the broker reports an error for the request, or stops. */
function rejectWhenLost(watch: Wire, brokenError: () => Error): Promise<never> {
  const lost = new Promise<never>((_resolve, reject) => {
    watch.listen({
      message: (answer: ServerMessage) =>
        'error' in answer && reject(deserializeError(answer.error)),
      closed: () => reject(brokenError()),
    })
  })
  lost.catch(() => {}) // some callers do not handle the rejection
  return lost
}
