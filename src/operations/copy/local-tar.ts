import { constants } from 'node:fs'
import {
  type FileHandle,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  readlink,
  symlink,
} from 'node:fs/promises'
import { sep } from 'node:path'
import { Readable } from 'node:stream'
import { UserError, codeOf, fileProblemOf } from '../../errors.ts'
import type { Accepted } from './archive/accept-entries.ts'
import {
  bytesOf,
  encodeHeader,
  endOfArchive,
  padding,
  showName,
  toByteString,
} from './archive/tar-format.ts'

/** A path as a string, or as bytes if it may not be UTF-8. */
export type PathOrBytes = string | Buffer

/** The content of an archive. */
export interface Packing {
  /** Paths below the directory, with `/` as the separator and directories before their contents. */
  readonly paths: AsyncIterable<PathOrBytes> | Iterable<PathOrBytes>
  /** The owner of all files; if absent, each file keeps its owner. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** Additional files that are not on the disk, by their name in the archive. */
  readonly files?: Readonly<Record<string, Buffer>>
  /** Called for each socket, FIFO and device, which cannot be sent. */
  readonly onSkipped?: (what: string) => void
}

/** The local path of `name`, which uses `/` as the separator, below `folder`. */
const join = (folder: PathOrBytes, name: PathOrBytes): Buffer =>
  Buffer.concat([Buffer.from(folder), Buffer.from(sep), Buffer.from(name)])

const shown = (path: Buffer): string => showName(path.toString('latin1'))

const validationError = (what: 'read' | 'write', path: Buffer, cause: unknown): UserError =>
  new UserError('failed', `cannot ${what} ${shown(path)}: ${fileProblemOf(cause)}`, { cause })

/** Adds the path to file system errors. */
async function onFile<Value>(
  what: 'read' | 'write',
  path: Buffer,
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw codeOf(error) === undefined ? error : validationError(what, path, error)
  }
}

/** Yields `path` in a directory and everything below it, directories before their content. */
export async function* pathsBelow(folder: string, path: PathOrBytes): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(path)
  yield bytes
  const file = join(folder, bytes)
  const names = await onFile('read', file, async () =>
    (await lstat(file)).isDirectory() ? await readdir(file, { encoding: 'buffer' }) : [],
  )
  for (const name of names.sort((a, b) => a.compare(b))) {
    yield* pathsBelow(folder, Buffer.concat([bytes, Buffer.from('/'), name]))
  }
}

const pieceSize = 1 << 18

/** The first `size` bytes of a file. */
async function* readPieces(file: FileHandle, path: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size;) {
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceSize, size - at))
    const { bytesRead } = await onFile('read', path, () => file.read(piece, 0, piece.length, at))
    if (bytesRead === 0) {
      throw new UserError(
        'failed',
        `${shown(path)} was truncated while it was being read; try again`,
      )
    }
    at += bytesRead
    yield piece.subarray(0, bytesRead)
  }
}

/** The type of a special file. */
const kindOf = (found: { isSocket(): boolean; isFIFO(): boolean }): string =>
  found.isSocket() ? 'socket' : found.isFIFO() ? 'FIFO' : 'device'

/** Packs a file, a directory or a symbolic link. */
async function* packPath(
  folder: string,
  path: PathOrBytes,
  { owner, onSkipped }: Packing,
): AsyncGenerator<Buffer> {
  const file = join(folder, path)
  const found = await onFile('read', file, () => lstat(file))
  const facts = (stats: typeof found) => ({
    name: Buffer.from(path).toString('latin1'),
    mode: stats.mode & 0o7777,
    mtime: stats.mtimeMs / 1000,
    size: 0,
    linkname: '',
    ...(owner ?? { uid: stats.uid, gid: stats.gid }),
  })
  if (found.isDirectory()) yield encodeHeader({ ...facts(found), type: 'directory' })
  else if (found.isSymbolicLink()) {
    const target = await onFile('read', file, () => readlink(file, { encoding: 'buffer' }))
    yield encodeHeader({ ...facts(found), type: 'symlink', linkname: target.toString('latin1') })
  } else if (!found.isFile()) onSkipped?.(`${shown(Buffer.from(path))} is a ${kindOf(found)}`)
  else {
    await using opened = await openToRead(file)
    const stats = await opened.file.stat()
    yield encodeHeader({ ...facts(stats), type: 'file', size: stats.size })
    yield* readPieces(opened.file, file, stats.size)
    yield padding(stats.size)
  }
}

/** Opens a file for reading, without following a link and without blocking. */
async function openToRead(path: Buffer) {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const file = await onFile('read', path, () => open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
  return { file, [Symbol.asyncDispose]: () => file.close() }
}

async function* pack(folder: string, packing: Packing): AsyncGenerator<Buffer> {
  const facts = { type: 'file', mode: 0o600, mtime: 0, uid: 0, gid: 0, linkname: '' } as const
  for (const [name, content] of Object.entries(packing.files ?? {})) {
    const size = content.length
    yield encodeHeader({ ...facts, name: toByteString(name), size })
    yield Buffer.concat([content, padding(size)])
  }
  for await (const path of packing.paths) yield* packPath(folder, path, packing)
  yield endOfArchive
}

/** Packs files in a directory into a stream. Fails with kind `failed` when a file cannot be read. */
export const packTree = (folder: string, packing: Packing): Readable =>
  Readable.from(pack(folder, packing), { objectMode: false, highWaterMark: 1 << 20 })

/** A newly created directory, whose mode and time are set after its contents have been written. */
interface MadeFolder {
  readonly path: string
  readonly mode: number
  readonly mtime: number
}

async function writeFile(path: Buffer, { content, mode, mtime }: Accepted): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  try {
    for await (const piece of content) await file.writeFile(piece)
    await file.chmod(mode)
    await file.utimes(mtime, mtime)
  } finally {
    await file.close()
  }
}

/**
 * Writes entries to the new path `into`, with their modes, times and links, owned by the current user. Existing files
 * are never opened, replaced or followed: an existing file is an error. Directories keep the mode 0700 until {@link
 * finishFolders}.
 */
export async function extractEntries(
  entries: AsyncIterable<Accepted>,
  into: Buffer,
): Promise<MadeFolder[]> {
  const folders: MadeFolder[] = []
  const pathFor = (path: string): Buffer => (path === '' ? into : join(into, bytesOf(path)))
  for await (const entry of entries) {
    const { path, type, mode, mtime, linkname, of } = entry
    const target = pathFor(path)
    await onFile('write', target, async () => {
      if (type === 'directory') {
        await mkdir(target, { mode: 0o700 })
        folders.push({ path, mode, mtime })
      } else if (type === 'symlink') {
        await symlink(bytesOf(linkname), target)
        await lutimes(target, mtime, mtime)
      } else if (type === 'hard link') await link(pathFor(of ?? ''), target)
      else await writeFile(target, entry)
    })
  }
  return folders
}

/** Sets the modes and times of the directories below `into`, except for those in `were`, which existed before. */
export async function finishFolders(
  folders: readonly MadeFolder[],
  into: Buffer,
  were: ReadonlySet<string>,
): Promise<void> {
  const { O_RDONLY, O_NOFOLLOW, O_DIRECTORY } = constants
  for (const { path, mode, mtime } of folders.toReversed()) {
    if (were.has(path)) continue
    const target = path === '' ? into : join(into, bytesOf(path))
    if (process.platform === 'win32') {
      await onFile('write', target, () => lutimes(target, mtime, mtime))
      continue
    }
    await onFile('write', target, async () => {
      const folder = await open(target, O_RDONLY | O_NOFOLLOW | O_DIRECTORY)
      try {
        await folder.utimes(mtime, mtime)
        await folder.chmod(mode)
      } finally {
        await folder.close()
      }
    })
  }
}
