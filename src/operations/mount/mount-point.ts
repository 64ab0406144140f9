import { readFile, readdir, stat } from 'node:fs/promises'
import { UserError, codeOf, fileProblemOf } from '../../errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { ignored } from '../../os/trace.ts'

/** A file system that is mounted on a directory of this computer. */
interface Mounted {
  /** The source of the file system, such as `web-1:/srv`. */
  readonly source: string
  /** The type of the file system, such as `fuse.sshfs`. */
  readonly type: string
}

/** Decodes characters that are escaped as octal numbers, such as spaces (proc(5)). */
const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)))

/**
 * Finds the file system that is mounted on a directory in the text of /proc/self/mountinfo (proc(5)). If several lines
 * name the directory, the last one counts.
 */
export function findMounted(mountinfo: string, directory: string): Mounted | undefined {
  for (const line of mountinfo.split('\n').toReversed()) {
    const [before = '', after = ''] = line.split(' - ')
    if (unescapeOctal(before.split(' ')[4] ?? '') !== directory) continue
    const [type = '', source = ''] = after.split(' ').map(unescapeOctal)
    return { type, source }
  }
  return undefined
}

/** The text of /proc/self/mountinfo; undefined on systems other than Linux. */
export const readMountinfo = (): Promise<string | undefined> =>
  readFile('/proc/self/mountinfo', 'latin1').then(
    (text) => Buffer.from(text, 'latin1').toString(),
    ignored('docker', 'read the mounted file systems'),
  )

/** Throws kind `failed` with the next step if nothing can be mounted on `directory`, which must be an absolute path. */
export async function checkMountPoint(directory: string): Promise<void> {
  const mountinfo = await readMountinfo()
  const mounted = mountinfo === undefined ? undefined : findMounted(mountinfo, directory)
  if (mounted !== undefined) {
    throw new UserError('failed', `${mounted.source} is already mounted on ${directory}`, {
      hint: `to unmount the directory: fleet mount -u ${shellQuote(directory)}`,
    })
  }
  const found = await stat(directory).catch((cause: unknown) => {
    if (codeOf(cause) === 'ENOENT') {
      throw new UserError('failed', `the directory ${directory} does not exist`, {
        hint: `to create the directory: mkdir ${shellQuote(directory)}`,
      })
    }
    throw unreadable(directory, cause)
  })
  if (!found.isDirectory()) {
    throw new UserError('failed', `${directory} is not a directory`, {
      hint: 'specify an empty directory',
    })
  }
  const names = await readdir(directory).catch((cause: unknown) => {
    throw unreadable(directory, cause)
  })
  if (names.length > 0) {
    throw new UserError('failed', `the directory ${directory} is not empty`, {
      hint: 'specify an empty directory: mounting would hide existing files',
    })
  }
}

const unreadable = (directory: string, cause: unknown): UserError =>
  new UserError('failed', `cannot read ${directory}: ${fileProblemOf(cause)}`, { cause })
