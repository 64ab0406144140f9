import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Starts a real ssh-agent; `add` loads a key file into it. */
export async function startAgent(folder: string) {
  const socket = join(folder, `agent-${Math.random()}`)
  const agent = spawn('ssh-agent', ['-D', '-a', socket])
  await once(agent.stdout, 'data')
  return {
    socket,
    add: (file: string) => execute('ssh-add', ['-q', file], { env: { SSH_AUTH_SOCK: socket } }),
    [Symbol.dispose]: () => void agent.kill(),
  }
}
