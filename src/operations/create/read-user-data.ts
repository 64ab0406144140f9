import { readFile, stat } from 'node:fs/promises'
import { UserError, fileProblemOf } from '../../errors.ts'
import { resolvePath } from '../../state/inventory/resolve-path.ts'

/** The maximum size of a user-data file, in bytes; no provider accepts more. */
const maxBytes = 8 * 2 ** 20

/** A file that an inventory refers to, as described in messages. */
interface NamedFile {
  /** A description of the file, for example `user-data file own.yaml`. */
  readonly name: string
  /** The key of the entry that contains the path. */
  readonly key: string
  readonly maxBytes: number
}

/** Reads the user-data file of an inventory. Throws as {@link readInventoryFile} does. */
export const readUserData = (location: string, userData: string): Promise<Uint8Array> =>
  readInventoryFile(location, userData, {
    ...{ name: `user-data file ${userData}`, key: 'userData', maxBytes },
  })

/**
 * Reads a file that an inventory refers to. It must be in the directory of the inventory after all symbolic links are
 * resolved, so that an inventory from git cannot send other files of this computer to a host. Throws kind `usage` if it
 * is elsewhere, is too large, or cannot be read.
 */
export async function readInventoryFile(
  location: string,
  file: string,
  { name, key, maxBytes }: NamedFile,
): Promise<Uint8Array> {
  const { path, isInside } = await resolvePath(location, file)
  if (!isInside) {
    throw new UserError(
      'usage',
      `the ${name} is a link to ${path}, which is outside the directory that contains ${location}`,
      {
        hint: 'to send this file to the host, replace the link with a copy of the file',
      },
    )
  }
  const unreadable = (why: string, cause?: unknown): UserError =>
    new UserError('usage', `cannot read the ${name}: ${why}`, {
      hint: `check ${key} in ${location}`,
      cause,
    })
  const about = await stat(path).catch((error: unknown) => {
    throw unreadable(fileProblemOf(error), error)
  })
  if (!about.isFile()) throw unreadable('it is not a regular file')
  if (about.size > maxBytes) {
    const limit = maxBytes >= 2 ** 20 ? `${maxBytes / 2 ** 20} MiB` : `${maxBytes / 2 ** 10} KiB`
    throw unreadable(`it is larger than ${limit}`)
  }
  return readFile(path).catch((error: unknown) => {
    throw unreadable(fileProblemOf(error), error)
  })
}
