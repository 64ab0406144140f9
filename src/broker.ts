import { keepEngines } from './operations/engine-connections.ts'
import { serveSocketAt } from './operations/engine-socket.ts'
import { isAlive } from './operations/processes.ts'
import type { Environment } from './state/home.ts'
import { locateHome } from './state/home.ts'
import { placeOfSockets, socketIn } from './transport/broker/place.ts'
import { startBroker } from './transport/broker/server.ts'

interface BrokerProcess {
  readonly env: Environment
  /** Aborted when the process is told to end. */
  readonly signal: AbortSignal
  readonly build: string
}

/** Is the background process that keeps connections for this user's commands. Resolves when it is over. */
export async function runBroker({ env, signal, build }: BrokerProcess): Promise<void> {
  const ssh = import('./transport/ssh.ts') // loads while the first command is being listened to
  const broker = await startBroker({
    socket: socketIn(await placeOfSockets(locateHome(env), env)),
    build,
    connect: async (target, options) => (await ssh).connectSsh(target, options),
    dialEngine: keepEngines(),
    serveSocket: serveSocketAt,
    isAlive,
  })
  signal.addEventListener('abort', () => void broker.stop())
  // A bug must not cut what runs: those who come from now on get another broker.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${new Date().toISOString()} ${error.stack ?? error.message}\n`)
    broker.retire()
  })
  await broker.ended
}
