import { createServer, isIPv6 } from 'node:net'
import { join } from 'node:path'
import type { Environment } from '../../os/environment.ts'
import { execProgram } from '../../os/exec-file.ts'
import { ignored } from '../../os/trace.ts'
import { refused } from '../sockets/socket-stream.ts'
import { listenAt } from '../sockets/unix-socket.ts'
import type { SocketAddress, Transport } from '../transport.ts'
import { sharedSocket } from './folder.ts'
import { lastWords } from './login-log.ts'
import { pathOf } from './program.ts'

/** How long ssh may take to add or cancel a forwarding, in milliseconds. */
const requestMs = 20_000

let made = 0

/** Formats the address to listen on for `ssh -R`. */
function listenSpec(socket: SocketAddress): string {
  if ('path' in socket) return socket.path
  const { host, port } = socket
  return `${isIPv6(host) ? `[${host}]` : host || '*'}:${port}`
}

/**
 * Creates a function that makes the host listen on a socket, through the ssh process whose files are in `folder`. The
 * function rejects as `Transport.listen` does.
 */
export function remoteListening(folder: string, env: Environment): Transport['listen'] {
  const request = (action: 'forward' | 'cancel', forward: string) =>
    execProgram(
      'ssh',
      [
        ...['-F', 'none', '-S', join(folder, sharedSocket)],
        ...['-O', action, '-R', forward, '--', 'host'],
      ],
      { env: { PATH: pathOf(env) }, timeout: requestMs },
    )
  return async (socket, take) => {
    const server = createServer(take)
    const local = join(folder, `r${(made += 1)}`)
    await listenAt(server, local)
    const forward = `${listenSpec(socket)}:${local}`
    try {
      const { stdout } = await request('forward', forward)
      const allocated = /\d+/.exec(stdout)?.[0]
      const port = 'path' in socket ? undefined : Number(allocated ?? socket.port)
      return {
        ...(port !== undefined && { port }),
        async [Symbol.asyncDispose]() {
          await request('cancel', forward).catch(ignored('ssh', 'cancel a forward'))
          server.close()
        },
      }
    } catch (error) {
      server.close()
      const { stderr = '' } = error as { stderr?: string }
      throw refused(lastWords(stderr.trim().split('\n')) || 'the host refused to listen', error)
    }
  }
}
