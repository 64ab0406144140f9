import { chmod, rename, rm, stat } from 'node:fs/promises'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'

let made = 0

/**
 * Listens on a Unix socket (mode 0600), which atomically replaces an existing file at `path`. Resolves to its inode
 * number, to detect later whether another file has replaced it. Closing the server does not remove it.
 */
export async function listenAt(server: Server, path: string): Promise<number> {
  const fresh = join(dirname(path), `.${process.pid}-${(made += 1)}`)
  await rm(fresh, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path: fresh, backlog: 1_024 }, resolve)
  })
  await chmod(fresh, 0o600)
  await rename(fresh, path) // Node.js removes the original path on close, which could be another server's
  return (await stat(path)).ino
}
