import { tmpdir } from 'node:os'
import type { Engine } from '../engine/engine.ts'
import { isEngineSocket } from '../drivers/local/engine-sockets.ts'
import { UserError } from '../errors.ts'
import { lazy, memoizeByMachine } from '../os/memoize.ts'
import { type Machine, type ReadyMachine, requireHost, socketOf } from '../machine/machine.ts'
import type { Connections, Context, InBroker } from '../operations/context.ts'
import type { MemoryCache } from '../state/inventory/cache.ts'
import {
  createHandshakeLimiter,
  limiterKey,
  handshakesAtOnce,
} from '../transport/ssh/handshake-limiter.ts'
import type { BrokerClient } from '../broker/client/client.ts'
import type { BrokerTarget } from '../broker/protocol.ts'
import type { SshOptions, SshTarget } from '../transport/ssh/connect.ts'
import type { Transport } from '../transport/transport.ts'
import type { Io } from '../ui/io.ts'
import { ignored } from '../os/trace.ts'
import type { Environment } from '../os/environment.ts'

/**
 * What a command that runs in the broker can use: the broker's open connections, and the inventories that the broker
 * has read.
 */
export interface HostedFleet extends InBroker {
  readonly inventories: MemoryCache
  /**
   * Resolves to the connection to a host, or to this computer if `target` is undefined. Rejects if the client process
   * must run the command instead.
   */
  connect(target: BrokerTarget | undefined, env: Environment): Promise<Transport>
  /** Whether a connection to a host is open. */
  isConnected(target: BrokerTarget, env: Environment): boolean
}

/** The connections of one command, with functions that open and close them. */
export interface OpenConnections extends Connections {
  /** Resolves to a client of the broker; undefined if this command must connect directly. */
  broker(): Promise<BrokerClient | undefined>
  /** Whether this process is the broker and is connected to a machine. */
  isConnected(machine: Machine): Promise<boolean>
  /** Closes all connections of this command. */
  readonly dispose: () => Promise<void>
}

interface ConnectionsOptions {
  readonly io: Io
  /** The fleet home directory. */
  readonly home: string
  readonly hosted: HostedFleet | undefined
  /** The command's context, which is created after its connections. */
  readonly context: () => Context
}

const brokerMissing = (): UserError =>
  new UserError(
    'unsupported',
    "other programs can reach engines only through fleet's background process (the broker), which is not available",
    {
      hint: 'unset FLEET_BROKER; on Windows, where the broker is not available yet, use fleet docker',
    },
  )

async function openDial(transport: Transport, machine: Machine) {
  const { dialEngine } = await import('../operations/connect/reach-engine.ts')
  return dialEngine(transport, socketOf(machine), machine.name)
}

/** Opens connections when they are needed, through the broker if it is available. */
export function openConnections({
  io,
  home,
  hosted,
  context,
}: ConnectionsOptions): OpenConnections {
  const { env } = io

  const broker = lazy(async () => {
    const { program } = io
    // On Windows, a pipe cannot be closed in only one direction, so commands connect directly there.
    if (program === undefined || env['FLEET_BROKER'] === 'off' || process.platform === 'win32') {
      return undefined
    }
    const { openBrokerClient } = await import('../broker/client/client.ts')
    const { brokerFolder } = await import('../broker/runtime-dir.ts')
    const folder = brokerFolder(home, env)
    return openBrokerClient({
      ...{ folder, program: program.file, build: program.build, env },
      findProcess: async (pid) =>
        (await import('../operations/connect/running-processes.ts')).findProcess(pid),
    })
  })

  async function describe(machine: Machine): Promise<BrokerTarget> {
    const { describeTarget } = await import('../operations/connect/broker-target.ts')
    return describeTarget(context(), machine)
  }

  const enter = createHandshakeLimiter(handshakesAtOnce)

  /** Logs in from this process. */
  async function connectDirectly(
    machine: Machine,
    { via, prompt }: Pick<SshTarget, 'via'> & Pick<SshOptions, 'prompt'>,
  ): Promise<Transport> {
    const { connectHost } = await import('../transport/connect.ts')
    const { describeLogin } = await import('../operations/connect/describe-login.ts')
    const login = await describeLogin(context(), { ...machine, host: requireHost(machine) })
    const leave = await enter(via && machine.via ? `via ${machine.via}` : limiterKey(login))
    try {
      return await connectHost({ ...login, via }, { signal: context().signal, env, prompt })
    } finally {
      leave()
    }
  }

  async function connect(machine: ReadyMachine): Promise<Transport> {
    if (machine.host.address === undefined) {
      const { openLocal } = await import('../transport/local/local.ts')
      return openLocal(env)
    }
    const { connectJumpHost } = await import('../operations/connect/jump-host.ts')
    const via = await connectJumpHost(context(), machine)
    const shared = await broker()
    const { signal, prompt } = context()
    const direct = () => connectDirectly(machine, { via, prompt })
    if (shared === undefined) return direct()
    return shared.connect(await describe(machine), { signal, env, prompt }, direct)
  }

  /** Resolves to the path of this computer's engine socket. Throws as `checkEngineSocket` does. */
  async function checkedLocalSocket(machine: Machine): Promise<string> {
    const path = socketOf(machine)
    if (isEngineSocket(path, env)) return path
    const { checkEngineSocket } = await import('../operations/inventory/grants.ts')
    await checkEngineSocket(context(), machine.name, path)
    return path
  }

  /**
   * Calls `forget` when a direct connection is lost. A connection through the broker reconnects automatically, and its
   * transport object stays the same.
   */
  const forgetWhenLost = ({ lost, relay }: Transport, forget: () => void): void => {
    if (hosted === undefined && relay === undefined) lost.catch(forget)
  }

  async function openTransport(machine: Machine): Promise<Transport> {
    const { host } = machine
    if (host?.phase === 'ready' && host.address === undefined) await checkedLocalSocket(machine)
    if (hosted !== undefined) {
      const isHere = requireHost(machine).address === undefined
      return hosted.connect(isHere ? undefined : await describe(machine), env)
    }
    const { resolveMovedHost } = await import('../operations/connect/resolve-moved-host.ts')
    try {
      return await resolveMovedHost(context(), machine, connect)
    } catch (error) {
      const { explainUnusedAlias } = await import('../operations/connect/ssh-alias.ts')
      throw await explainUnusedAlias(context(), machine, error)
    }
  }

  const transports = memoizeByMachine(async (machine: Machine, forget) => {
    const transport = await openTransport(machine)
    forgetWhenLost(transport, forget)
    return transport
  })

  const apart = memoizeByMachine(async (machine: Machine, forget) => {
    const transport = await connectDirectly(machine, {})
    forgetWhenLost(transport, forget)
    return transport
  })

  const engines = memoizeByMachine(async (machine: Machine, forget): Promise<Engine> => {
    const { openEngine } = await import('../engine/http-engine.ts')
    const { name: label, host } = machine
    const transport = await transports.get(machine)
    forgetWhenLost(transport, forget)
    return openEngine(await openDial(transport, machine), { label, release: host?.engine })
  })

  const engineSockets = memoizeByMachine(async (machine: Machine) => {
    const transport = await transports.get(machine)
    const { relay, lost } = transport
    if (relay) {
      const { nameEngineSocket } = await import('../operations/connect/engine-socket-name.ts')
      return relay.serveEngine(socketOf(machine), await nameEngineSocket(context(), machine))
    }
    const { serveEngineSocket } = await import('../operations/connect/engine-socket.ts')
    const folder = env['TMPDIR'] ?? tmpdir()
    return { ...(await serveEngineSocket(await openDial(transport, machine), folder)), lost }
  })

  return {
    broker,
    connect: (machine) => transports.get(machine),
    async isConnected(machine) {
      if (hosted === undefined || machine.host?.phase !== 'ready') return false
      if (machine.host.address === undefined) return false
      return hosted.isConnected(await describe(machine), env)
    },
    async connectApart(machine) {
      const shared = await transports.get(machine)
      if (shared.relay === undefined || machine.via !== undefined) return shared
      return apart
        .get(machine)
        .catch(ignored('ssh', `open another connection to ${machine.name}`, shared))
    },
    engine: (machine) => engines.get(machine),
    async engineSocket(machine) {
      if (requireHost(machine).address !== undefined) return engineSockets.get(machine)
      return { path: await checkedLocalSocket(machine), lost: new Promise<never>(() => {}) }
    },
    async keepEngineSocket(machine, holder) {
      if (requireHost(machine).address === undefined) return checkedLocalSocket(machine)
      const shared = await broker()
      if (shared === undefined) throw brokerMissing()
      const { nameEngineSocket } = await import('../operations/connect/engine-socket-name.ts')
      const [target, file] = [await describe(machine), await nameEngineSocket(context(), machine)]
      const engine = { target, env, path: socketOf(machine), file }
      return (await shared.serveEngine(engine, { env, signal: context().signal }, holder)).path
    },
    forgetEngineSockets: async (files) => (await broker())?.forget(files),
    async dispose() {
      await engineSockets.dispose()
      await engines.dispose()
      await apart.dispose()
      await transports.dispose()
    },
  }
}
