import { keepEngines } from './operations/engine-connections.ts'
import { serveSocketAt } from './operations/engine-socket.ts'
import { isAlive } from './operations/processes.ts'
import { locateHome } from './state/home.ts'
import { placeOfSockets, socketIn } from './transport/broker/place.ts'
import { startBroker } from './transport/broker/server.ts'

/** Makes this process the one that keeps connections for its user's commands. Resolves when that is over. */
export async function runBroker(build: string): Promise<void> {
  const { env } = process
  const ssh = import('./transport/ssh.ts') // loads while the first command is being listened to
  const broker = await startBroker({
    socket: socketIn(placeOfSockets(locateHome(env), env)),
    build,
    connect: async (target, options) => (await ssh).connectSsh(target, options),
    engines: keepEngines(),
    serveSocket: serveSocketAt,
    isAlive,
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void broker.stop())
  process.on('SIGHUP', () => {}) // the terminal of the command that started it is gone
  // A bug must not cut what runs: those who come from now on get another broker.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${new Date().toISOString()} ${error.stack ?? error.message}\n`)
    broker.retire()
  })
  await broker.ended
}
