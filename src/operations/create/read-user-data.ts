import { readFile, stat } from 'node:fs/promises'
import { UserError, fileTroubleOf } from '../../errors.ts'
import { resolvePath } from '../../state/inventory/resolve-path.ts'

/** The largest user-data file, in bytes; no provider accepts more. */
const maxBytes = 8 * 2 ** 20

/**
 * Reads the user-data file of an inventory. It must be in the folder of the inventory after all links are followed, so that an
 * inventory from git cannot send other files of this computer to a host. Throws kind `usage`.
 */
export async function readUserData(location: string, userData: string): Promise<Uint8Array> {
  const { path, isInside } = await resolvePath(location, userData)
  if (!isInside) {
    throw new UserError(
      'usage',
      `the user-data file ${userData} is a link to ${path}, which is outside the directory of ${location}`,
      {
        hint: 'if the host may have this file, replace the link with a copy of the file',
      },
    )
  }
  const unreadable = (why: string, cause?: unknown): UserError =>
    new UserError('usage', `cannot read the user-data file ${userData}: ${why}`, {
      hint: `check userData in ${location}`,
      cause,
    })
  const about = await stat(path).catch((error: unknown) => {
    throw unreadable(fileTroubleOf(error), error)
  })
  if (!about.isFile()) throw unreadable('it is not a file')
  if (about.size > maxBytes) throw unreadable(`it is larger than ${maxBytes / 2 ** 20} MiB`)
  return readFile(path).catch((error: unknown) => {
    throw unreadable(fileTroubleOf(error), error)
  })
}
