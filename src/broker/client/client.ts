import type { Socket } from 'node:net'
import { join } from 'node:path'
import { below } from '../../os/below.ts'
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
import { BrokerGone, BrokerHung, awaitOpened, introduce } from './handshake.ts'
import {
  type ServerMessage,
  type BrokerStatus,
  type BrokerTarget,
  type Login,
  type Request,
  protocolVersion,
} from '../protocol.ts'
import { joinCommand } from './remote-command.ts'
import { deserializeError } from '../serialize-error.ts'
import type { Verdict } from '../server/pid-file.ts'
import { RemoteConnection } from './remote-connection.ts'
import type { BrokerPlace } from './start.ts'
import type { ServedEngine } from '../server/sockets.ts'
import { Wire } from '../wire.ts'
import { ignored, traceError } from '../../os/trace.ts'

/** The broker, as one command sees it. */
export interface Broker {
  /**
   * A way to a host over the connection that the broker keeps. Rejects as `connectSsh` does. Whenever no broker
   * can be had, `direct` makes a connection of one's own.
   */
  connect(
    target: BrokerTarget,
    options: SshOptions,
    direct: () => Promise<Transport>,
  ): Promise<Transport>
  /**
   * Serves a Unix socket of this computer that leads to an engine, under the name `file`. It is there until it is
   * disposed of; with `holder`, as long as that process, and of a `context` until it is forgotten.
   */
  serveEngine(
    engine: ServedEngine,
    options: SshOptions,
    holder?: ProcessRef | 'context',
  ): Promise<EngineSocket & AsyncDisposable>
  /**
   * What it is doing; undefined when it does not run. One of another build tells nothing, and is `retired`: it ends when
   * what runs through it has.
   */
  status(): Promise<BrokerStatus | 'retired' | undefined>
  /** Keeps the engine sockets of these names no longer for contexts. */
  forget(files: readonly string[]): Promise<void>
  /** Ends it, and what runs through it. Gives what it was doing, or that it did not answer and was `killed`; else as `status`. */
  stop(): Promise<BrokerStatus | 'retired' | 'killed' | undefined>
}

/** How often one that works and does not hear is asked before doing without. */
const mostWaits = 6
/** How often one that was there and went, or is of another build, is replaced before doing without. */
const tries = 3

/** Tells that the broker ended under a command on `machine`, or on several. */
export const brokerEnded = (machine: string | undefined): UserError =>
  new UserError(
    'unreachable',
    `the connection to ${machine ?? 'the machines'} was lost: the broker of fleet stopped`,
    {
      machine,
      hint: `commands on the host may still be running; check its state: fleet status ${machine ?? '--all'}`,
    },
  )

/** What a login needs of an environment: the rest of it, such as a provider's secrets, is not kept with a connection. */
export const loginEnvironment = ({ SSH_AUTH_SOCK, HOME }: Login['env']): Login['env'] => ({
  SSH_AUTH_SOCK,
  HOME,
})

/** What the broker is told of who asks. */
const loginOf = (env: Login['env'], { prompt }: SshOptions): Login => ({
  env: loginEnvironment(env),
  canAsk: prompt !== undefined,
})

/** The broker of this user: found when it is first needed, and started where it does not run. */
export function openBroker(place: BrokerPlace): Broker {
  const identity = { protocol: protocolVersion, build: place.build }
  let starting: Promise<Socket> | undefined
  let unavailable: BrokerUnavailable | undefined

  /** A connection to a broker that runs, or to the one that all who ask at this moment wait for. */
  async function reach(): Promise<Socket> {
    const there = await findBroker(place.folder)
    if (there) return there
    if (starting === undefined) {
      starting = import('./start.ts').then(({ launchBroker }) => launchBroker(place))
      void starting.catch(ignored('broker', 'start the broker')).then(() => (starting = undefined))
      return await starting
    }
    await starting
    return await reach()
  }

  /** Lets the broker judge a request. Undefined where it went away; `killed` where it did not hear, and is no more. */
  async function present(
    socket: Socket,
    request: Request,
  ): Promise<Wire | 'retired' | 'killed' | undefined> {
    const askedAt = Date.now()
    let judge: (() => Promise<Verdict>) | undefined
    for (let tried = 1, asked: Socket | undefined = socket; asked; tried += 1) {
      try {
        return await introduce(asked, { ...request, ...identity })
      } catch (error) {
        if (!(error instanceof BrokerHung)) throw error
        traceError('broker', 'get an answer from the broker in time', error)
        const { openJudge } = await import('../server/pid-file.ts')
        judge ??= openJudge(place.folder, askedAt, place.findProcess)
        const verdict = await judge()
        if (verdict === 'gone') return 'killed'
        if (verdict === 'unknown' || tried === mostWaits) throw error
        asked = await findBroker(place.folder)
      }
    }
    return undefined
  }

  /** Opens what is asked for. Rejects with `BrokerUnavailable` when nothing was done for want of a broker. */
  async function open(request: Request, options: SshOptions, machine: string): Promise<Wire> {
    if (unavailable) throw unavailable
    for (let attempt = 0; attempt < tries; attempt += 1) {
      options.signal?.throwIfAborted()
      const wire = await present(await reach(), request)
      if (!(wire instanceof Wire)) continue
      try {
        await awaitOpened(wire, options)
        return wire
      } catch (error) {
        if (!(error instanceof BrokerGone)) throw error
        // A command may have been started, and must not be twice.
        if (request.open === 'exec') throw brokerEnded(machine)
      }
    }
    throw new BrokerUnavailable('the broker does not answer')
  }

  /** What the broker that runs, if any, says to a question that `put` puts to it. `advice` is for one that does not hear. */
  async function ask<Else>(
    put: (socket: Socket) => Promise<Wire | Else>,
    advice: () => Promise<string>,
  ): Promise<BrokerStatus | Else | undefined> {
    const socket = await findBroker(place.folder).catch((cause: unknown) => {
      throw new UserError('failed', `cannot connect to the broker: ${messageOf(cause)}`, {
        hint: `check who owns ${place.folder} and who can write to it: you must own it, and its mode must be 0700`,
        cause,
      })
    })
    const wire =
      socket &&
      (await put(socket).catch(async (cause: unknown) => {
        if (!(cause instanceof BrokerHung)) throw cause
        throw new UserError('failed', 'the broker is running but does not respond', {
          hint: await advice(),
          cause,
        })
      }))
    if (!(wire instanceof Wire)) return wire
    const told = await awaitOpened(wire, {})
    wire.destroy()
    return told as BrokerStatus
  }

  const serveEngine: Broker['serveEngine'] = async (engine, options, holder) => {
    const { env, ...where } = engine
    const request = { ...where, ...loginOf(env, options), open: 'socket', holder } as const
    try {
      const wire = await open(request, options, engine.target.machine)
      return {
        path: below(place.folder, engine.file),
        lost: whenLost(wire, () => brokerEnded(engine.target.machine)),
        async [Symbol.asyncDispose]() {
          wire.listen({})
          wire.destroy()
        },
      }
    } catch (error) {
      if (!(error instanceof BrokerUnavailable)) throw error
      throw new UserError('failed', `cannot open a socket for the engine: ${error.message}`, {
        hint: `see ${join(place.folder, 'broker.log')}`,
        cause: error,
      })
    }
  }

  return {
    serveEngine,
    async connect(target, options, direct) {
      const { machine } = target
      const onHost = { target, ...loginOf(options.env, options) }
      let own: Promise<Transport> | undefined
      const orDirectly = async <Value>(
        throughBroker: () => Promise<Value>,
        otherwise: (transport: Transport) => Promise<Value>,
      ): Promise<Value> => {
        try {
          return await throughBroker()
        } catch (error) {
          if (!(error instanceof BrokerUnavailable)) throw error
          unavailable = error
          traceError('broker', `reach ${machine} through the broker, and connects directly`, error)
          own ??= direct()
          return await otherwise(await own)
        }
      }
      const broken = () => brokerEnded(machine)
      const exec = async (command: CommandLine, asked: ExecOptions): Promise<RunningCommand> => {
        const { terminal, signal } = asked
        const request = { ...onHost, open: 'exec', command, ...(terminal && { terminal }) } as const
        const during = signal ? { ...options, signal } : options
        return joinCommand(await open(request, during, machine), signal, broken)
      }
      const dial = async (request: Request) =>
        new RemoteConnection(await open(request, options, machine), broken)

      const watch = await orDirectly<Wire | Transport>(
        () => open({ ...onHost, open: 'link' }, options, machine),
        async (transport) => transport,
      )
      if (!(watch instanceof Wire)) return watch
      return {
        exec: (command, asked = {}) =>
          orDirectly(
            () => exec(command, asked),
            (transport) => transport.exec(command, asked),
          ),
        dial: (socket) =>
          orDirectly(
            () => dial({ ...onHost, open: 'dial', socket }),
            (transport) => transport.dial(socket),
          ),
        relay: {
          dialEngine: (path, otherwise) =>
            orDirectly(() => dial({ ...onHost, open: 'engine', path }), otherwise),
          serveEngine: (path, file) => serveEngine({ ...onHost, path, file }, options),
        },
        lost: whenLost(watch, broken),
        async [Symbol.asyncDispose]() {
          watch.listen({})
          watch.destroy()
          await (await own?.catch(ignored('ssh', `connect to ${machine}`)))?.[Symbol.asyncDispose]()
        },
      }
    },
    status: () =>
      ask(
        (socket) => introduce(socket, { open: 'status', ...identity }),
        async () => 'stop it with fleet broker stop; the next command starts a new one',
      ),
    stop: () =>
      ask(
        (socket) => present(socket, { open: 'stop' }),
        async () => {
          const { describeEnd } = await import('../server/pid-file.ts')
          return describeEnd(place.folder)
        },
      ),
    async forget(files) {
      if (files.length > 0) (await open({ open: 'forget', files }, { env: {} }, '')).destroy()
    },
  }
}

/** Rejects when the broker tells that what was asked for is lost, or ends. */
function whenLost(watch: Wire, broken: () => Error): Promise<never> {
  const lost = new Promise<never>((_resolve, reject) => {
    watch.listen({
      message: (answer: ServerMessage) =>
        'error' in answer && reject(deserializeError(answer.error)),
      closed: () => reject(broken()),
    })
  })
  lost.catch(() => {}) // not every caller watches
  return lost
}
