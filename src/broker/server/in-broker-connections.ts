import type { Transport } from '../../transport/transport.ts'
import { type Engines, dialServed } from './engines.ts'
import type { Hosts } from './shared-connections.ts'
import type { BrokerTarget, Login } from '../protocol.ts'
import { ignored } from '../../os/trace.ts'

/** The broker's connections, for commands that run in the broker. */
export interface InBrokerConnections {
  /** Whether a connection to a host is open. */
  has(target: BrokerTarget, env: Login['env']): boolean
  /**
   * Resolves to the open connection to a host. If it has been closed in the meantime, connects again without prompting
   * the user.
   */
  use(target: BrokerTarget, env: Login['env']): Promise<Transport>
}

/** Lets commands in this process use the connections directly, without a socket. */
export function openInBrokerConnections(hosts: Hosts, engines: Engines): InBrokerConnections {
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
              .catch(ignored('ssh', "get a remote command's exit code"))
              .then(session.release)
            return running
          } catch (error) {
            session.release()
            throw error
          }
        },
        dial: (address) => transport.dial(address),
        listen: (address, take) => transport.listen(address, take),
        relay: {
          dialEngine: (path) => dialServed(hosts, engines, { target, env, path }),
          async serveEngine() {
            // The command then runs in its own process instead.
            throw new Error('a command that runs in the broker cannot start a program')
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
