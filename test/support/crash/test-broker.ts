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

/** A broker in this process, with a client for it. */
export interface TestBroker extends AsyncDisposable {
  readonly broker: BrokerServer
  readonly client: Client
  /** Returns a new client, as used by another command. */
  readonly openClient: (build?: string) => Client
  readonly folder: string
}

/** Direct connection function for tests in which the broker must be used. */
export const noDirect = () => Promise.reject(new Error('the broker is there'))

/** Starts a broker in a new directory. Clients never start another one, because their program does not exist. */
export async function startTestBroker(options: Partial<BrokerOptions> = {}): Promise<TestBroker> {
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
