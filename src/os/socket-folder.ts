import { createHash } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { UserError, codeOf } from '../errors.ts'

/**
 * Where the sockets of a folder go whose own path is too long for them. It must be the same for every process, whatever its
 * environment says of temporary folders, and is only used once {@link prepareSocketFolder} or {@link isSocketFolder} has
 * found that it is this user's alone: everybody may write to /tmp.
 */
export const shortFolderFor = (folder: string): string =>
  `/tmp/fleet-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`

/**
 * Whether there is a folder that nobody but this user can enter, a link not counting. Throws kind `failed` for one that
 * others can enter: whoever put a socket there would be taken for the process that should listen.
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
  throw new UserError(
    'failed',
    `${folder} is not a folder that only you can enter: it is not used for sockets`,
    {
      hint: 'set FLEET_HOME to a folder with a shorter path, or have the folder removed',
    },
  )
}

/** Makes a folder for sockets that only this user can enter. Throws as {@link isSocketFolder} does. */
export async function prepareSocketFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await isSocketFolder(folder)
}
