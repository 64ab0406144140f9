import { createHash } from 'node:crypto'
import { type Stats, createReadStream } from 'node:fs'
import { lstat, readdir, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError, codeOf, fileProblemOf } from '../../errors.ts'
import { contextPaths } from '../docker/on-host/build-context.ts'
import type { LocalContext } from './project-model.ts'
import { isWithin, slashed } from './rooted-paths.ts'

/** A file, directory or symbolic link, with the properties that are compared. */
export type Entry =
  | { readonly type: 'file'; readonly mode: number; readonly digest: string }
  | { readonly type: 'folder'; readonly mode: number }
  | { readonly type: 'link'; readonly target: string }

/** A local file, directory or symbolic link that must be on the host. */
export type LocalEntry = Entry & {
  /** The local path of the item. */
  readonly file: string
  readonly size: number
  readonly modified: Date
  readonly owner: { readonly uid: number; readonly gid: number }
  /** Whether the item is in a mounted directory, so that a container may have removed it on the host. */
  readonly isInMount: boolean
  /**
   * Whether the item itself is a mount. A container then sees new contents of the file, but not a file that replaces
   * it.
   */
  readonly isMountPoint: boolean
}

/**
 * The items that must be on a host, keyed by path below the root, with `/` as the separator and without a leading `/`.
 */
export type LocalFiles = ReadonlyMap<string, LocalEntry>

/** The local files that a command needs. */
export interface NeededFiles {
  /** Files that Compose reads. */
  readonly files?: Iterable<string>
  readonly contexts?: readonly LocalContext[]
  readonly mounts?: Iterable<string>
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

const unreadable = (file: string, error: unknown): UserError =>
  new UserError('failed', `cannot read ${file}: ${fileProblemOf(error)}`, {
    hint: "check the file's permissions, or remove the path from the Compose file",
    cause: error,
  })

/** The path of a local file below the root on a host. */
const pathOnHost = (file: string): string => slashed(file).replace(/^\//, '')

/** Reads the local files of a command. Missing files are omitted, since Compose reports them. */
export async function readLocalFiles(
  wanted: NeededFiles,
): Promise<{ readonly files: LocalFiles; readonly skipped: readonly string[] }> {
  const files = new Map<string, LocalEntry>()
  const skipped: string[] = []
  const mounts = [...(wanted.mounts ?? [])]
  const isMountPoint = (file: string): boolean =>
    mounts.includes(file) && !mounts.some((mount) => mount !== file && isWithin(mount, file))

  const add = async (file: string, found: Stats, isInMount: boolean): Promise<void> => {
    const { size, mtime: modified, uid, gid } = found
    const common = {
      file,
      size,
      modified,
      owner: { uid, gid },
      isInMount,
      isMountPoint: isMountPoint(file),
    }
    const mode = found.mode & 0o777
    const set = (entry: Entry): unknown => files.set(pathOnHost(file), { ...entry, ...common })
    if (found.isFile()) set({ type: 'file', mode, digest: await digestOf(file) })
    else if (found.isDirectory()) set({ type: 'folder', mode })
    else if (found.isSymbolicLink()) set({ type: 'link', target: await readlink(file) })
    else skipped.push(file)
  }
  const addAt = async (
    file: string,
    { follow = false, isInMount = false } = {},
  ): Promise<Stats | undefined> => {
    if (files.has(pathOnHost(file))) return lstat(file)
    try {
      const found = await (follow ? stat(file) : lstat(file))
      await add(file, found, isInMount)
      return found
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
      throw unreadable(file, error)
    }
  }
  const addTree = async (folder: string): Promise<void> => {
    const names = await readdir(folder).catch((error: unknown) => {
      throw unreadable(folder, error)
    })
    for (const name of names) {
      const file = join(folder, name)
      const found = await addAt(file, { isInMount: true })
      if (found?.isDirectory() === true) await addTree(file)
    }
  }

  for (const file of wanted.files ?? []) await addAt(file, { follow: true })
  for (const mount of mounts) {
    const found = await addAt(mount, { follow: true })
    if (found?.isDirectory() === true) await addTree(mount)
  }
  for (const { folder, dockerfile } of wanted.contexts ?? []) {
    const found = await addAt(folder, { follow: true })
    if (found?.isDirectory() !== true) continue
    for await (const path of contextPaths(folder, dockerfile ?? join(folder, 'Dockerfile'))) {
      await addAt(join(folder, path))
    }
    for (const file of dockerfile === undefined ? [] : [dockerfile, `${dockerfile}.dockerignore`]) {
      await addAt(file, { follow: true })
    }
  }
  return { files, skipped }
}

/** The notice that a special file is not copied. Control characters in its name are replaced. */
export const noticeSkipped = (path: string, machine: string): string =>
  `fleet: ${path.replaceAll(/\p{C}/gu, '?')} is neither a file nor a directory, so it is not copied to ${machine}\n`
