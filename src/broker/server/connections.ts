import type { Transport } from '../../transport/transport.ts'
import { type Engines, dialKept } from './engines.ts'
import type { Hosts } from './hosts.ts'
import type { BrokerTarget, Login } from '../protocol.ts'
import { ignored } from '../../os/trace.ts'

/** What the broker keeps, for a command that it runs itself. */
export interface Connections {
  /** Whether there is a connection to a host already. */
  has(target: BrokerTarget, env: Login['env']): boolean
  /** The way to a host over the connection that is kept; one is made, and nobody asked, where there is none any more. */
  use(target: BrokerTarget, env: Login['env']): Promise<Transport>
}

/** Lets commands in this process use the connections, without a socket in between. */
export function shareConnections(hosts: Hosts, engines: Engines): Connections {
  return {
    has: (...host) => hosts.isConnected(...host),
    async use(target, env) {
      const caller = { env, prompt: undefined }
      const { transport, release } = await hosts.use(target, caller)
      return {
        async exec(command, options) {
          const session = await hosts.use(target, caller, true)
          try {
            const running = await session.transport.exec(command, options)
            void running.exit
              .catch(ignored('ssh', 'tell how a remote command ended'))
              .then(session.release)
            return running
          } catch (error) {
            session.release()
            throw error
          }
        },
        dial: (address) => transport.dial(address),
        relay: {
          dialEngine: (path) => dialKept(hosts, engines, { target, env, path }),
          async serveEngine() {
            throw new Error('a hosted command starts no program') // it leaves that to its own process
          },
        },
        lost: transport.lost,
        async [Symbol.asyncDispose]() {
          release()
        },
      }
    },
  }
}
