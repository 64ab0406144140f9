import { mkdtemp, rm, stat } from 'node:fs/promises'
import { type Socket, createServer } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Dial } from '../engine/engine.ts'
import { UserError, messageOf } from '../errors.ts'
import { longestSocketPath } from '../socket-path.ts'
import { listenAt } from '../transport/unix-socket.ts'

/** A Unix socket of this computer that leads somewhere else. */
export interface ServedSocket extends AsyncDisposable {
  readonly path: string
}

/** Passes on what `from` says until it ends; when it breaks off, so does `to`. */
function passOn(from: Duplex, to: Duplex): void {
  from.pipe(to)
  from.on('error', () => {}) // told by its close
  from.once('close', () => {
    const isDone = from.readableEnded && from.writableFinished
    if (!isDone) to.destroy()
  })
}

/** The answer of an engine that cannot be reached, to whatever is asked (as the Engine API words its errors). */
function refusal(why: unknown): string {
  const body = JSON.stringify({ message: `fleet: ${explain(why)}` })
  return [
    'HTTP/1.1 503 Service Unavailable',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}

function explain(why: unknown): string {
  const hint = why instanceof UserError && why.hint !== undefined ? ` (${why.hint})` : ''
  return `${messageOf(why)}${hint}`
}

/**
 * Connects one client to a fresh `dial()`. Each way ends by itself, for a hijacked `attach` or
 * `exec` goes on talking after its input has ended. A failure ends this connection only; the client is told
 * why once it asks something.
 */
async function connect(client: Socket, dial: Dial): Promise<void> {
  client.on('error', () => {}) // it may go away while the engine is dialled
  try {
    const engine = await dial()
    passOn(client, engine)
    passOn(engine, client)
    if (client.destroyed) engine.destroy()
  } catch (error) {
    client.once('data', () => client.end(refusal(error))).once('end', () => client.destroy())
  }
}

/**
 * Serves a Unix socket (mode 0600) at `path`, in place of whatever is there, whose every connection leads to a fresh
 * `dial()`. Disposing ends the connections and removes the socket, unless another one has taken its place.
 */
export async function serveSocketAt(path: string, dial: Dial): Promise<AsyncDisposable> {
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    clients.add(client)
    client.once('close', () => clients.delete(client))
    void connect(client, dial)
  })
  const inode = await listenAt(server, path)
  return {
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy()
      await new Promise((resolve) => server.close(resolve))
      const there = await stat(path).catch(() => undefined)
      if (there?.ino === inode) await rm(path, { force: true })
    },
  }
}

/**
 * Serves a Unix socket (mode 0600, in a new 0700 folder below `folder`) whose every connection
 * leads to a fresh `dial()`. Disposing ends the connections and removes the socket.
 */
export async function serveEngineSocket(dial: Dial, folder: string): Promise<ServedSocket> {
  const home = await mkdtemp(join(folder, 'fleet-'))
  const path = join(home, 'docker.sock')
  if (Buffer.byteLength(path) > longestSocketPath) {
    await rm(home, { recursive: true })
    throw new UserError('failed', `${folder} is too long a path for a Unix socket`, {
      hint: 'set TMPDIR to a folder with a shorter path',
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
