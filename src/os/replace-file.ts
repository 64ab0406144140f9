import type { Stats } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ignored } from './trace.ts'

/** Makes a rename durable by flushing the directory (fsync(2)). Windows has no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

interface ReplaceOptions {
  /** The mode of a new file (default: 0o644). */
  readonly mode?: number
  /** Whether to flush the text and the directory to disk, which takes milliseconds (default: true). */
  readonly isDurable?: boolean
  /** Called just before the rename; returning `false` cancels the rename. */
  readonly shouldReplace?: () => Promise<boolean>
}

async function writeNew(
  file: string,
  text: string,
  { mode = 0o644, isDurable = true }: ReplaceOptions,
  old?: Stats,
): Promise<void> {
  const handle = await open(file, 'wx', old ? 0o600 : mode)
  try {
    await handle.writeFile(text)
    if (old) {
      await handle.chown(old.uid, old.gid).catch(ignored('state', "preserve the file's owner"))
      await handle.chmod(old.mode & 0o7777)
    }
    if (isDurable) await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Replaces `file`, which must not be a symbolic link, atomically: at any time, even after a crash, it contains either
 * the old or the new text. The mode and, if permitted, the owner are kept. Resolves to whether the new text was
 * written. Rejects with the system's error.
 *
 * write-file-atomic is not used because it does not notice a short write, which happens when the disk is full.
 */
export async function replaceFile(
  file: string,
  text: string,
  options: ReplaceOptions = {},
): Promise<boolean> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const old = await stat(file).catch(ignored('state', 'inspect the file to replace'))
  try {
    await writeNew(temporary, text, options, old)
    if (options.shouldReplace !== undefined && !(await options.shouldReplace())) return false
    await rename(temporary, file)
  } finally {
    await rm(temporary, { force: true })
  }
  if (options.isDurable !== false) await syncFolder(dirname(file))
  return true
}

/** Deletes a file, and temporary files that {@link replaceFile} left behind when it was killed. */
export async function removeWithLeftovers(file: string): Promise<void> {
  await rm(file, { force: true })
  const [folder, name] = [dirname(file), basename(file)]
  const others = await readdir(folder).catch((): string[] => [])
  const leftovers = others.filter((other) => other.startsWith(`${name}.`) && other.endsWith('.tmp'))
  for (const leftover of leftovers) await rm(join(folder, leftover), { force: true })
}
