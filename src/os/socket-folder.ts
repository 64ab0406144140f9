import { createHash } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { UserError, codeOf } from '../errors.ts'

/** Maximum length of the path of a Unix socket, in bytes: the limit on macOS (Linux has a buffer of 108 bytes). */
export const longestSocketPath = 103

/**
 * Returns the short path of a directory for sockets, to use instead of `folder` if that path is too long for sockets.
 * The result must not depend on the environment (TMPDIR), so that all processes find the directory. Check the directory
 * with {@link prepareSocketFolder} or {@link isSocketFolder} first: all users can write to /tmp.
 */
export const shortFolderFor = (folder: string): string =>
  `/tmp/fleet-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`

/**
 * Resolves to whether a directory for sockets exists. Throws kind `failed` if it is a symbolic link or other users have
 * access to it: they could create a socket there and impersonate the listening process.
 */
export async function isSocketFolder(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return false
  if (process.getuid === undefined) return true
  const isOurs = found.isDirectory() && found.uid === process.getuid() && !(found.mode & 0o077)
  if (isOurs) return true
  throw new UserError('failed', `cannot use ${folder} for sockets: other users have access to it`, {
    hint: 'remove the directory, or set FLEET_HOME to a directory with a shorter path',
  })
}

/** Creates a directory for sockets that only this user can access. Throws as {@link isSocketFolder} does. */
export async function prepareSocketFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await isSocketFolder(folder)
}
