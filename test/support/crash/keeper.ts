import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngineConnections } from '../../../src/operations/connect/engine-connections.ts'
import { serveSocketAt } from '../../../src/operations/connect/engine-socket.ts'
import { forwarding } from '../../../src/operations/forward/forwarding.ts'
import { findProcess, isAlive } from '../../../src/operations/connect/running-processes.ts'
import { type BrokerClient as Client, openBrokerClient } from '../../../src/broker/client/client.ts'
import { brokerSocket } from '../../../src/broker/runtime-dir.ts'
import {
  type BrokerServer,
  type BrokerOptions,
  startBrokerServer,
} from '../../../src/broker/server/server.ts'
import { connectSsh } from '../../../src/transport/ssh/connect.ts'

/** A broker in this process, and what commands talk to it with. */
export interface Keeper extends AsyncDisposable {
  readonly broker: BrokerServer
  readonly client: Client
  /** What another command would have. */
  readonly openClient: (build?: string) => Client
  readonly folder: string
}

/** For tests in which the broker is there. */
export const noDirect = () => Promise.reject(new Error('the broker is there'))

/** Starts a broker of a folder of its own. A client never starts another one, for there is no program here. */
export async function startKeeper(options: Partial<BrokerOptions> = {}): Promise<Keeper> {
  const folder = await mkdtemp(join(tmpdir(), 'keeper-'))
  const broker = await startBrokerServer({
    socket: brokerSocket(folder),
    build: 'this',
    connect: connectSsh,
    engines: openEngineConnections(),
    serveSocket: serveSocketAt,
    forwarding,
    isAlive,
    runCommand: () => Promise.reject(new Error('no program here')),
    ...options,
  })
  const openClient = (build = 'this') =>
    openBrokerClient({ folder, build, program: join(folder, 'none.js'), env: {}, findProcess })
  return {
    broker,
    folder,
    openClient,
    client: openClient(),
    async [Symbol.asyncDispose]() {
      await broker.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
