import type * as HostedCommand from './run-in-broker.ts'
import { openEngineConnections } from '../operations/connect/engine-connections.ts'
import { serveSocketAt } from '../operations/connect/engine-socket.ts'
import { findProcess, isAlive } from '../operations/connect/processes.ts'
import { locateHome } from '../state/home/locate-home.ts'
import { placeOfSockets, socketIn } from '../broker/runtime-dir.ts'
import { startBroker } from '../broker/server/server.ts'
import type { Program } from '../ui/io.ts'

/** Code that no first command needs is loaded after it was served, in milliseconds. */
const hostedAfterMs = 1000

/** Makes this process the one that keeps connections for its user's commands. Resolves when that is over. */
export async function runBroker(program: Program): Promise<void> {
  const { env } = process
  const ssh = import('../transport/ssh/connect.ts') // loads while the first command is being listened to
  let hosted: typeof HostedCommand | undefined
  setTimeout(() => {
    void import('./run-in-broker.ts').then((loaded) => (hosted = loaded))
  }, hostedAfterMs).unref()
  const broker = await startBroker({
    socket: socketIn(placeOfSockets(locateHome(env), env)),
    build: program.build,
    connect: async (target, options) => (await ssh).connectSsh(target, options),
    engines: openEngineConnections(),
    async runCommand(command, connections) {
      // By the time it was loaded, the command had long been done by its own process.
      if (hosted === undefined) throw new Error('not loaded yet')
      return hosted.runHosted(command, { program, connections })
    },
    serveSocket: serveSocketAt,
    isAlive,
    self: await findProcess(process.pid),
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void broker.stop())
  process.on('SIGHUP', () => {}) // the terminal of the command that started it is gone
  // A bug must not cut what runs: those who come from now on get another broker.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${new Date().toISOString()} ${error.stack ?? error.message}\n`)
    broker.drain()
  })
  await broker.ended
}
