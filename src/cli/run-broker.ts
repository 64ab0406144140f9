import { connectHost } from '../transport/connect.ts'
import type * as HostedCommand from './run-in-broker.ts'
import { openEngineConnections } from '../operations/connect/engine-connections.ts'
import { serveSocketAt } from '../operations/connect/engine-socket.ts'
import { forwarding } from '../operations/forward/forwarding.ts'
import { findProcess, isAlive } from '../operations/connect/running-processes.ts'
import { locateHome } from '../state/home/locate-home.ts'
import { brokerFolder, brokerSocket } from '../broker/runtime-dir.ts'
import { startBrokerServer } from '../broker/server/server.ts'
import type { Program } from '../ui/io.ts'

/** Runs this process as its user's broker. Resolves when the broker stops. */
export async function runBroker(program: Program): Promise<void> {
  const { env } = process
  void import('../transport/ssh/connect.ts') // loads while the first command is read
  let hosted: Promise<typeof HostedCommand> | undefined
  const broker = await startBrokerServer({
    socket: brokerSocket(brokerFolder(locateHome(env), env)),
    build: program.build,
    connect: connectHost,
    engines: openEngineConnections(),
    async runCommand(command, connections) {
      // Loaded for the second command: the first one started the broker, but runs in its own process.
      hosted ??= import('./run-in-broker.ts')
      return (await hosted).runHosted(command, { program, connections })
    },
    serveSocket: serveSocketAt,
    isAlive,
    forwarding,
    self: await findProcess(process.pid),
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void broker.stop())
  process.on('SIGHUP', () => {}) // sent when the terminal of the command that started the broker is closed
  // A bug must not interrupt running commands; new commands use another broker.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${new Date().toISOString()} ${error.stack ?? error.message}\n`)
    broker.drain()
  })
  await broker.ended
}
