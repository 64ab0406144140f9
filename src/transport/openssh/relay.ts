import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Duplex, pipeline } from 'node:stream'
import { shellQuote } from '../../os/shell-quote.ts'
import { listenAt } from '../sockets/unix-socket.ts'

/**
 * The program of the ProxyCommand, as JavaScript. It copies data between a socket and its standard input and output,
 * and exits when the other end of the socket ends, since ssh would wait for more data as long as the program runs. It
 * contains no single quotes, because it is quoted for the shell, and no percent signs, which ssh expands.
 */
const helper = `
const socket = require("node:net").connect({ path: process.argv[1], allowHalfOpen: true })
socket.on("error", () => process.exit(1)).on("close", () => process.exit(0))
process.stdin.on("error", () => socket.destroy()).pipe(socket)
socket.on("end", () => process.stdout.write("", () => process.exit(0)))
socket.pipe(process.stdout).on("error", () => socket.destroy())
`.replaceAll('\n', ';')

/** A local socket through which ssh uses a connection that fleet opens. */
export interface Relay extends AsyncDisposable {
  /** The command that connects to the socket, for ssh's ProxyCommand option. It requires a POSIX shell. */
  readonly proxyCommand: string
  /** Returns the error if fleet could not open the connection. */
  readonly failure: () => unknown
}

/** Serves a socket in `folder`; each connection is forwarded to a new `open()`. */
export async function serveRelay(folder: string, open: () => Promise<Duplex>): Promise<Relay> {
  let failure: unknown
  const server = createServer({ allowHalfOpen: true }, (near) => {
    near.on('error', () => {}).pause()
    open().then(
      (far) => {
        pipeline(near, far, () => near.destroy())
        pipeline(far, near, () => far.destroy())
      },
      (error: unknown) => {
        failure = error
        near.destroy()
      },
    )
  })
  const socket = join(folder, 'via')
  await listenAt(server, socket)
  const words = [process.execPath, '-e', helper, socket].map(shellQuote).join(' ')
  return {
    proxyCommand: words.replaceAll('%', '%%'),
    failure: () => failure,
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}
