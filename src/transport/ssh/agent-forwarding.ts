import { connect } from 'node:net'
import type { Client } from 'ssh2'
import { UserError } from '../../errors.ts'
import { startAgent } from '../../os/platform-commands.ts'
import { setForwardedAgent } from './ssh2-internals.ts'

/** The forwarding of the user's SSH agent to commands on a host. */
export interface AgentForwarding {
  /**
   * Allows the host to use the agent until the returned function is called. Throws kind `credentials` if there is no
   * agent.
   */
  allow(): () => void
}

/**
 * Forwards the agent at `socket` over a connection that commands share. The host can use the agent only while a command
 * that requested it is running, although the protocol (draft RFCs) lets the host open channels to the agent at any
 * later time.
 */
export function createAgentForwarding(
  client: Client,
  machine: string,
  socket: string | undefined,
): AgentForwarding {
  let users = 0
  return {
    allow() {
      if (!socket) {
        throw new UserError('credentials', 'there is no SSH agent to forward', {
          machine,
          hint: `start an agent and add your key: ${startAgent}`,
        })
      }
      setForwardedAgent(client, (done) => {
        if (users === 0) return done(new Error('no command is using the agent'))
        const stream = connect(socket)
        stream.once('connect', () => done(undefined, stream))
        stream.on('error', (error) => done(error))
      })
      users += 1
      let isOver = false
      return () => {
        if (!isOver) users -= 1
        isOver = true
      }
    },
  }
}
