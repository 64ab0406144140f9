import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { type Socket, createServer } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Dial } from '../engine/engine.ts'
import { UserError } from '../errors.ts'

/** The longest path of a Unix socket, in bytes: that of macOS (Linux has 108). */
const longestPath = 103

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

/**
 * Connects one client to a fresh `dial()`. Each way ends by itself, for a hijacked `attach` or
 * `exec` goes on talking after its input has ended. A failure ends this connection only.
 */
async function connect(client: Socket, dial: Dial): Promise<void> {
  client.on('error', () => {}) // it may go away while the engine is dialled
  try {
    const engine = await dial()
    passOn(client, engine)
    passOn(engine, client)
    if (client.destroyed) engine.destroy()
  } catch {
    client.destroy()
  }
}

/**
 * Serves a Unix socket (mode 0600, in a new 0700 folder below `folder`) whose every connection
 * leads to a fresh `dial()`. Disposing ends the connections and removes the socket.
 */
export async function serveEngineSocket(dial: Dial, folder: string): Promise<ServedSocket> {
  const home = await mkdtemp(join(folder, 'fleet-'))
  const path = join(home, 'docker.sock')
  if (Buffer.byteLength(path) > longestPath) {
    await rm(home, { recursive: true })
    throw new UserError('failed', `${folder} is too long a path for a Unix socket`, {
      hint: 'set TMPDIR to a folder with a shorter path',
    })
  }
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    clients.add(client)
    client.once('close', () => clients.delete(client))
    void connect(client, dial)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  await chmod(path, 0o600)
  return {
    path,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(home, { recursive: true, force: true })
    },
  }
}
