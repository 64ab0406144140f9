import { chmod, rename, rm, stat } from 'node:fs/promises'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'

let made = 0

/**
 * Listens on a Unix socket (mode 0600), which atomically replaces an existing file at `path`. Resolves to the socket's
 * inode number, so the caller can later detect whether another file has replaced the socket. Closing the server does
 * not remove the socket.
 */
export async function listenAt(server: Server, path: string): Promise<number> {
  const fresh = join(dirname(path), `.${process.pid}-${(made += 1)}`)
  await rm(fresh, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path: fresh, backlog: 1_024 }, resolve)
  })
  await chmod(fresh, 0o600)
  await rename(fresh, path) // on close, Node.js removes only the original path: `path` may be another server's by then
  return (await stat(path)).ino
}
