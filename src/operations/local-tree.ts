import { createReadStream, createWriteStream } from 'node:fs'
import {
  chmod,
  link,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readlink,
  realpath,
  rm,
  symlink,
} from 'node:fs/promises'
import { dirname, join, normalize, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Header, type Pack, extract, pack } from 'tar-stream'
import { UserError, messageOf } from '../errors.ts'

/** What goes into an archive. */
export interface Packing {
  /** Paths below the folder, with `/`, folders before what they hold. */
  readonly paths: AsyncIterable<string> | Iterable<string>
  /** The name of a path in the archive; the path itself if absent. */
  readonly rename?: (path: string) => string
  /** Whose the files will be; as here if absent. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** Files that are not in the folder, by name. */
  readonly files?: Readonly<Record<string, Buffer>>
}

/** The path `path` of a folder and everything below it, folders before what they hold. */
export async function* pathsBelow(folder: string, path: string): AsyncGenerator<string> {
  yield path
  if (!(await lstat(join(folder, path))).isDirectory()) return
  for (const name of (await readdir(join(folder, path))).sort()) {
    yield* pathsBelow(folder, `${path}/${name}`)
  }
}

/** Adds a file, a folder or a symbolic link as it is. Sockets and devices cannot be sent: they are left out. */
async function addPath(
  archive: Pack,
  folder: string,
  path: string,
  { owner, rename = (name) => name }: Packing,
): Promise<void> {
  const file = join(folder, path)
  const found = await lstat(file)
  const { mtime, size, uid, gid } = found
  const header = {
    name: rename(path),
    mode: found.mode & 0o7777,
    mtime,
    ...(owner ?? { uid, gid }),
  }
  if (found.isDirectory()) archive.entry({ ...header, type: 'directory' })
  else if (found.isSymbolicLink()) {
    archive.entry({ ...header, type: 'symlink', linkname: await readlink(file) })
  } else if (found.isFile() && size === 0) archive.entry({ ...header, size }, '')
  else if (found.isFile()) {
    await pipeline(
      createReadStream(file, { end: size - 1, highWaterMark: 1 << 18 }),
      archive.entry({ ...header, size }),
    )
  }
}

async function addAll(archive: Pack, folder: string, packing: Packing): Promise<void> {
  for (const [name, content] of Object.entries(packing.files ?? {})) {
    archive.entry({ name, mode: 0o600 }, content)
  }
  for await (const path of packing.paths) await addPath(archive, folder, path, packing)
  archive.finalize()
}

/** Packs what is in a folder, while it is read. Fails with kind `failed` when a file cannot be read. */
export function packTree(folder: string, packing: Packing): Readable {
  const archive = pack()
  addAll(archive, folder, packing).catch((cause: unknown) =>
    archive.destroy(new UserError('failed', `cannot read here: ${messageOf(cause)}`, { cause })),
  )
  return Readable.from(archive)
}

/** Where an entry goes. Throws when that is not in `folder`, or behind a link that an earlier entry made. */
async function placeOf(folder: string, name: string): Promise<string> {
  const path = join(folder, normalize(`/${name}`))
  const parent = dirname(path)
  if (path === folder || path === `${folder}${sep}`) return folder
  await mkdir(parent, { recursive: true })
  const real = await realpath(parent)
  if (real !== folder && !real.startsWith(`${folder}${sep}`)) {
    throw new UserError('failed', `the archive has ${JSON.stringify(name)} behind a symbolic link`)
  }
  return path
}

async function unpackEntry(folder: string, header: Header, content: Readable): Promise<void> {
  const path = await placeOf(folder, header.name)
  const mode = header.mode & 0o777
  const { type, linkname, mtime } = header
  if (type === 'directory') return void (await mkdir(path, { recursive: true, mode: mode | 0o700 }))
  await rm(path, { force: true })
  if (type === 'symlink') await symlink(linkname, path)
  else if (type === 'link') return link(await placeOf(folder, linkname), path)
  else {
    await pipeline(content, createWriteStream(path, { mode: mode | 0o600 }))
    await chmod(path, mode)
  }
  await lutimes(path, mtime, mtime)
}

/**
 * Unpacks an archive into a folder, keeping modes, times and links, owned by whoever runs fleet.
 * Nothing is written outside of the folder, whatever the archive says.
 */
export async function unpackTree(archive: Readable, into: string): Promise<void> {
  archive.on('error', () => {}) // it may break before it is read
  const folder = await realpath(into)
  const folders: Header[] = []
  const unpacking = extract()
  let last: Promise<void> | undefined
  unpacking.on('entry', (header, entry, proceed) => {
    entry.on('error', () => {}) // told by the archive
    if (header.type === 'directory') folders.push(header)
    last = unpackEntry(folder, header, Readable.from(entry)).then(() => {
      entry.resume()
      proceed()
    }, proceed)
  })
  try {
    await pipeline(archive, unpacking)
  } finally {
    await last // so that nothing is written afterwards
  }
  for (const { name, mode, mtime } of folders.reverse()) {
    const path = await placeOf(folder, name)
    if (path === folder) continue
    await lutimes(path, mtime, mtime)
    await chmod(path, mode & 0o777)
  }
}
