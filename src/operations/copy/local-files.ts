import { constants, type Stats } from 'node:fs'
import {
  type FileHandle,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { Socket } from 'node:net'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { UserError, codeOf, fileProblemOf } from '../../errors.ts'
import type { Accepted } from './archive/accept-entries.ts'
import { showName, toByteString } from './archive/tar-format.ts'
import {
  type Found,
  type FoundSource,
  type Receiver,
  type Endpoint,
  type Source,
  type Target,
  smallFile,
} from './endpoint.ts'
import { extractEntries, finishFolders, packTree, pathsBelow } from './local-tar.ts'
import { ignored } from '../../os/trace.ts'
import { retry } from '../../os/retry.ts'

const shown = (path: Buffer | string): string =>
  showName(typeof path === 'string' ? toByteString(path) : path.toString('latin1'))

const cannotWrite = (path: Buffer | string, cause: unknown): UserError =>
  new UserError('failed', `cannot write ${shown(path)}: ${fileProblemOf(cause)}`, { cause })

/** Adds the path to file system errors. */
async function writing<Value>(path: Buffer | string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof UserError || codeOf(error) === undefined
      ? error
      : cannotWrite(path, error)
  }
}

/** Returns undefined for a missing path; rethrows other errors. */
const orAbsent = (error: unknown): undefined => {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ELOOP') return undefined
  throw error
}

/** The type of a path on this computer. */
export async function findLocal(
  path: string,
): Promise<Found & { readonly stats: Stats | undefined }> {
  try {
    const own = await lstat(path).catch(orAbsent)
    const stats = own?.isSymbolicLink() === true ? await stat(path).catch(orAbsent) : own
    const kind =
      stats === undefined
        ? 'absent'
        : stats.isDirectory()
          ? 'folder'
          : stats.isFile()
            ? 'file'
            : 'other'
    return { kind, isLink: own?.isSymbolicLink() === true, stats }
  } catch (cause) {
    throw new UserError('failed', `cannot read ${shown(path)}: ${fileProblemOf(cause)}`, { cause })
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/** The path without trailing slashes, which would make the system follow a link. */
const trimmed = (path: string): string => resolve(path)

async function requireParent(path: string): Promise<void> {
  const parent = dirname(path)
  if (!(await isFolder(parent)))
    throw new UserError('failed', `the directory ${shown(parent)} does not exist`)
}

async function inspectSource(typed: string): Promise<FoundSource> {
  const path = trimmed(typed)
  await requireParent(path)
  const { kind, isLink, stats } = await findLocal(path)
  return { kind, isLink, name: basename(path), size: kind === 'file' ? stats?.size : undefined }
}

/**
 * Overwrites an existing file in place, which keeps its owner, mode and links. It is truncated when the first bytes
 * arrive.
 */
export async function overwriteFile(
  path: Buffer | string,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  let file: FileHandle | undefined
  try {
    for await (const piece of content) {
      file ??= await emptied(path)
      const opened = file
      await writing(path, () => opened.writeFile(piece))
    }
    file ??= await emptied(path)
  } finally {
    await file?.close()
  }
}

const emptied = (path: Buffer | string): Promise<FileHandle> =>
  writing(path, () => open(path, constants.O_WRONLY | constants.O_TRUNC))

/** The pause between checks for a reader of a FIFO, in milliseconds. */
const readerWaitMs = 100

const lacksReader = (error: unknown): boolean => codeOf(error) === 'ENXIO'

/** Opens a FIFO for writing. Polls for a reader, since a blocking open would occupy a thread of Node.js. */
async function openFifo(path: string, signal: AbortSignal): Promise<FileHandle> {
  const attempt = () => open(path, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    return await retry(attempt, { canRetry: lacksReader, signal, pauseMs: readerWaitMs })
  } catch (error) {
    signal.throwIfAborted()
    throw cannotWrite(path, error)
  }
}

/** Writes to a FIFO or a device, as cp does. */
export async function writeToSpecialFile(
  path: string,
  content: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<void> {
  const found = await stat(path)
  if (found.isSocket()) throw new UserError('failed', `cannot write ${shown(path)}: it is a socket`)
  if (!found.isFIFO()) {
    const device = await writing(path, () => open(path, constants.O_WRONLY))
    try {
      for await (const piece of content) await writing(path, () => device.writeFile(piece))
    } finally {
      await device.close()
    }
    return
  }
  const file = await openFifo(path, signal)
  const fifo = new Socket({ fd: file.fd, readable: false, writable: true })
  try {
    await writing(path, () =>
      pipeline(Readable.from(content, { objectMode: false }), fifo, { signal }),
    )
  } finally {
    fifo.destroy()
    await file.close().catch(ignored('copy', 'close a file')) // already closed by the socket
  }
}

/** Buffers all of a small file's content; passes larger content through. */
async function* heldBack(entry: Accepted): AsyncGenerator<Buffer> {
  if (entry.size > smallFile) {
    yield* entry.content
    return
  }
  const pieces: Buffer[] = []
  for await (const piece of entry.content) pieces.push(piece)
  yield* pieces
}

/** Writes the only file of `entries` to an existing file or device. */
async function write(
  path: string,
  entries: AsyncIterable<Accepted>,
  signal: AbortSignal,
): Promise<void> {
  for await (const entry of entries) {
    if (entry.type !== 'file') {
      throw new UserError(
        'failed',
        `cannot write ${shown(path)}: expected a file, but received a ${entry.type}`,
      )
    }
    const isFile = (await writing(path, () => stat(path))).isFile()
    await (isFile
      ? overwriteFile(path, heldBack(entry))
      : writeToSpecialFile(path, entry.content, signal))
  }
}

const joinBytes = (folder: Buffer, name: Buffer): Buffer =>
  Buffer.concat([folder, Buffer.from(sep), name])

/** Moves an item to a new path, even across file systems. */
async function move(from: Buffer, to: Buffer): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (codeOf(error) !== 'EXDEV') throw error
    const found = await lstat(from)
    if (found.isSymbolicLink()) await symlink(await readlink(from, { encoding: 'buffer' }), to)
    else if (found.isDirectory()) await mkdir(to, { mode: 0o700 })
    else await copyFile(from, to, constants.COPYFILE_EXCL)
    if (!found.isDirectory()) return
    for (const name of await readdir(from, { encoding: 'buffer' })) {
      await move(joinBytes(from, name), joinBytes(to, name))
    }
  }
}

const nounOf = (found: Stats): string =>
  found.isDirectory()
    ? 'directory'
    : found.isSymbolicLink()
      ? 'link'
      : found.isFile()
        ? 'file'
        : 'device or FIFO'

/**
 * Merges the received items at `from` into `to`, like `cp -R`, but never follows existing links: they are replaced.
 * Adds the directories that existed before to `were`.
 */
async function merge(from: Buffer, to: Buffer, path: Buffer, were: Set<string>): Promise<void> {
  await writing(to, async () => {
    const [arrived, found] = [await lstat(from), await lstat(to).catch(orAbsent)]
    if (found === undefined) return move(from, to)
    if (found.isDirectory() && arrived.isDirectory()) {
      were.add(path.toString('latin1'))
      for (const name of await readdir(from, { encoding: 'buffer' })) {
        const below = path.length === 0 ? name : joinBytes(path, name)
        await merge(joinBytes(from, name), joinBytes(to, name), below, were)
      }
    } else if (found.isFile() && arrived.isFile()) {
      const { O_WRONLY, O_TRUNC, O_NOFOLLOW } = constants
      await using there = disposable(await open(to, O_WRONLY | O_TRUNC | O_NOFOLLOW))
      await using source = disposable(await open(from))
      const content = source.file.createReadStream({ autoClose: false, highWaterMark: 1 << 18 })
      for await (const piece of content) await there.file.writeFile(piece as Buffer)
    } else if (!found.isDirectory() && (found.isSymbolicLink() || arrived.isSymbolicLink())) {
      if (arrived.isDirectory()) throw isAlready(to, found)
      await rename(from, to)
    } else throw isAlready(to, found)
  })
}

const isAlready = (path: Buffer, found: Stats): UserError =>
  new UserError('failed', `${shown(path)} already exists and is a ${nounOf(found)}`)

const disposable = (file: FileHandle) => ({
  file,
  [Symbol.asyncDispose]: () => file.close(),
})

/** Receives entries in a private directory next to the target, then moves them to the target. */
async function place({ path, how }: Target, entries: AsyncIterable<Accepted>): Promise<void> {
  const folder = how === 'merge' ? path : dirname(path)
  const waiting = await writing(folder, () => mkdtemp(join(folder, '.fleet-')))
  try {
    const [from, to] = [Buffer.from(join(waiting, 'content')), Buffer.from(path)]
    const folders = await extractEntries(entries, from)
    const were = new Set<string>()
    if (how === 'merge') await merge(from, to, Buffer.alloc(0), were)
    else await writing(to, () => rename(from, to))
    await finishFolders(folders, to, were)
  } finally {
    await rm(waiting, { recursive: true, force: true })
  }
}

/** The endpoint for files on this computer. */
export const openLocalEndpoint = (signal: AbortSignal): Endpoint => ({
  machine: undefined,
  inspectSource,
  async inspectTarget(typed, name) {
    const path = trimmed(typed)
    await requireParent(path)
    const { kind, isLink } = await findLocal(path)
    const inside = kind === 'folder' ? await findLocal(join(path, name)) : undefined
    return { kind, isLink, inside }
  },
  async send({ path: typed, asFolder }, onSkipped) {
    const path = trimmed(typed)
    const [folder, name] = asFolder ? [await realpath(path), '.'] : [dirname(path), basename(path)]
    return packTree(folder, { paths: pathsBelow(folder, name), onSkipped })
  },
  async receive(target) {
    const path = trimmed(target.path)
    return {
      take: (entries) =>
        target.how === 'write' ? write(path, entries, signal) : place({ ...target, path }, entries),
      async [Symbol.asyncDispose]() {},
    } satisfies Receiver
  },
})

/** Whether a copy from `source` to `target`, both on this computer, would read its own output. */
export async function isSameLocal(source: Source, target: Target): Promise<boolean> {
  if (!source.asFolder) {
    if (target.how !== 'write') return false
    const [from, to] = await Promise.all([stat(source.path), stat(target.path)])
    return from.dev === to.dev && from.ino === to.ino
  }
  const from = await realpath(source.path)
  const to = await realpath(target.how === 'merge' ? target.path : dirname(trimmed(target.path)))
  return `${to}${sep}`.startsWith(`${from}${sep}`)
}
