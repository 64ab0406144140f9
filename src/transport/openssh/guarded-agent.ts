import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import type { Client } from 'ssh2'
import { UserError } from '../../errors.ts'
import { startAgent } from '../../os/platform-commands.ts'
import type { AgentForwarding } from '../ssh/agent-forwarding.ts'
import { setForwardedAgent } from '../ssh/ssh2-internals.ts'
import { listenAt } from '../sockets/unix-socket.ts'

/**
 * A socket that forwards to the SSH agent only while commands that may use the agent are running. ssh alone would let
 * the host use the agent at any time.
 */
export interface GuardedAgent extends AsyncDisposable {
  /** The path of the socket, for ssh's ForwardAgent option. */
  readonly path: string
  /** Allows access to the agent until the returned function is called. */
  open(): () => void
}

/** Creates the socket in `folder`, and forwards its connections to the agent at `socket`. */
export async function serveGuardedAgent(folder: string, socket: string): Promise<GuardedAgent> {
  let users = 0
  const server = createServer((near) => {
    near.on('error', () => {})
    if (users === 0) {
      near.destroy()
      return
    }
    const far = connect(socket)
    pipeline(near, far, () => near.destroy())
    pipeline(far, near, () => far.destroy())
  })
  const path = join(folder, 'agent')
  await listenAt(server, path)
  return {
    path,
    open() {
      users += 1
      let isOver = false
      return () => {
        if (!isOver) users -= 1
        isOver = true
      }
    },
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}

/** Lets commands on a shared connection use the agent. ssh itself connects the host to the socket of `guardedAgent`. */
export const agentBehind = (
  client: Client,
  machine: string,
  guardedAgent: GuardedAgent | undefined,
  hasAgent: boolean,
): AgentForwarding => ({
  allow() {
    if (guardedAgent === undefined && hasAgent) {
      throw new UserError(
        'unsupported',
        'agent forwarding requires OpenSSH 8.2 or later on this computer',
        {
          machine,
          hint: "update ssh, or use fleet's own client: FLEET_SSH=builtin",
        },
      )
    }
    if (guardedAgent === undefined) {
      throw new UserError('credentials', 'there is no SSH agent to forward', {
        machine,
        hint: `start an agent and add your key: ${startAgent}`,
      })
    }
    setForwardedAgent(client, (done) => done(new Error('ssh handles agent forwarding')))
    return guardedAgent.open()
  },
})
