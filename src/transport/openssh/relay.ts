import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Duplex, pipeline } from 'node:stream'
import { shellQuote } from '../../os/shell-quote.ts'
import { listenAt } from '../sockets/unix-socket.ts'

/**
 * Joins its input and output with a socket, until the socket's other side ends: ssh would wait for more while its own side is
 * open. It has no single quotes, for the shell, and no percent signs, for ssh.
 */
const helper = `
const socket = require("node:net").connect({ path: process.argv[1], allowHalfOpen: true })
socket.on("error", () => process.exit(1)).on("close", () => process.exit(0))
process.stdin.on("error", () => socket.destroy()).pipe(socket)
socket.on("end", () => process.stdout.write("", () => process.exit(0)))
socket.pipe(process.stdout).on("error", () => socket.destroy())
`.replaceAll('\n', ';')

/** A connection to a host that fleet makes, for ssh. */
export interface Relay extends AsyncDisposable {
  /** For ssh's option ProxyCommand. It needs a POSIX shell. */
  readonly proxyCommand: string
  /** Why it was not made, if it was not. */
  readonly failure: () => unknown
}

/** Serves a socket in `folder` whose connections lead where `open` leads. */
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
