import { mkdtemp, rm, stat } from 'node:fs/promises'
import { type Socket, createServer } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Dial } from '../../engine/engine.ts'
import { UserError, messageOf } from '../../errors.ts'
import { longestSocketPath } from '../../os/socket-folder.ts'
import { CutExecs, EngineSession, unavailable } from './engine-session.ts'
import { listenAt } from '../../transport/sockets/unix-socket.ts'
import { ignored } from '../../os/trace.ts'

/** A Unix socket on this computer; connections to it are forwarded. */
export interface ServedSocket extends AsyncDisposable {
  readonly path: string
}

function describeError(why: unknown): string {
  const hint = why instanceof UserError && why.hint !== undefined ? ` (${why.hint})` : ''
  return `${messageOf(why)}${hint}`
}

/**
 * Copies data from `from` to `to` until `from` ends. `see` is called with each chunk, and returns false to prevent it
 * from being copied.
 */
function forward(from: Duplex, to: Duplex, see: (chunk: Buffer) => boolean): void {
  from.on('error', () => {}) // the 'close' event follows
  from.on('data', (chunk: Buffer) => {
    if (!see(chunk) || to.write(chunk)) return
    from.pause()
    to.once('drain', () => from.resume())
  })
  from.once('end', () => to.end())
}

/** Whether a connection has ended cleanly in both directions. */
const hasEndedCleanly = (connection: Duplex): boolean =>
  connection.readableEnded && connection.writableFinished

/** Ends a client's connection, and reports the reason to the client. */
type CutOff = (why: string) => void

/**
 * How long to wait between writing the head and the rest, in milliseconds, for clients that lose data sent with the
 * head.
 */
const headDelayMs = 25

/** How long a client may take to read the last data that is sent to it, in milliseconds. */
const closeTimeoutMs = 1_000

/**
 * Connects a client to an engine. If the engine's connection breaks, or if the returned function is called, the client
 * receives data that it reports as an error.
 */
function joinEngine(client: Socket, engine: Duplex, cut: CutExecs): CutOff {
  const session = new EngineSession(cut)
  let failure: unknown
  engine.on('error', (error) => (failure = error))
  forward(client, engine, (chunk) => {
    const answer = session.fromClient(chunk)
    if (answer === undefined) return true
    client.end(answer)
    engine.destroy()
    return false
  })
  forward(engine, client, (chunk) => {
    const head = session.fromEngine(chunk)
    if (head === undefined) return true
    client.write(chunk.subarray(0, head))
    engine.pause()
    if (head < chunk.length) engine.unshift(chunk.subarray(head))
    setTimeout(() => engine.resume(), headDelayMs)
    return false
  })
  client.once('close', () => hasEndedCleanly(client) || engine.destroy())
  const cutOff = (why: string) => {
    if (client.writable) client.write(session.cutOff(`fleet: ${why}`))
    client.destroySoon()
  }
  engine.once('close', () => {
    if (hasEndedCleanly(engine)) return
    cutOff(failure === undefined ? 'the connection to the engine was lost' : describeError(failure))
  })
  if (client.destroyed) engine.destroy()
  return cutOff
}

/**
 * Connects one client to a new connection from `dial()`. The two directions end independently, since a hijacked
 * `attach` or `exec` still sends output after its input has ended. A failure ends only this connection; the client gets
 * the reason as the response to its first request.
 */
async function connect(
  client: Socket,
  dial: Dial,
  { cut, joined }: { readonly cut: CutExecs; readonly joined: (cutOff: CutOff) => void },
): Promise<void> {
  client.on('error', () => {}) // the client may disconnect while `dial()` is in progress
  try {
    joined(joinEngine(client, await dial(), cut))
  } catch (error) {
    const answer = unavailable(`fleet: ${describeError(error)}`)
    client.once('data', () => client.end(answer)).once('end', () => client.destroy())
  }
}

/**
 * Serves a Unix socket (mode 0600) at `path`, replacing an existing one. Each connection is forwarded to a new
 * connection from `dial()`. Disposing of it ends the connections and removes the socket, unless another one has
 * replaced it.
 */
export async function serveSocketAt(path: string, dial: Dial): Promise<AsyncDisposable> {
  const clients = new Map<Socket, CutOff>()
  const cut = new CutExecs()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    clients.set(client, () => client.destroy())
    client.once('close', () => clients.delete(client))
    void connect(client, dial, { cut, joined: (cutOff) => clients.set(client, cutOff) })
  })
  const inode = await listenAt(server, path)
  return {
    async [Symbol.asyncDispose]() {
      for (const cutOff of clients.values())
        cutOff("fleet's background process (the broker) stopped")
      const late = setTimeout(() => {
        for (const client of clients.keys()) client.destroy()
      }, closeTimeoutMs)
      await new Promise((resolve) => server.close(resolve))
      clearTimeout(late)
      const there = await stat(path).catch(ignored('engine', 'inspect the socket'))
      if (there?.ino === inode) await rm(path, { force: true })
    },
  }
}

/**
 * Serves a Unix socket (mode 0600, in a new 0700 directory below `folder`). Each connection is forwarded to a new
 * connection from `dial()`. Disposing of it ends the connections and removes the socket.
 */
export async function serveEngineSocket(dial: Dial, folder: string): Promise<ServedSocket> {
  const home = await mkdtemp(join(folder, 'fleet-'))
  const path = join(home, 'docker.sock')
  if (Buffer.byteLength(path) > longestSocketPath) {
    await rm(home, { recursive: true })
    throw new UserError('failed', `the path ${folder} is too long for a Unix socket`, {
      hint: 'set TMPDIR to a directory with a shorter path',
    })
  }
  const served = await serveSocketAt(path, dial)
  return {
    path,
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]()
      await rm(home, { recursive: true, force: true })
    },
  }
}
