import { UserError } from '../../../errors.ts'
import { type Read, readTar } from './read-tar.ts'
import { type Entry, type EntryType, showName } from './tar-format.ts'

/** A validated entry, with its path below the copied item. */
export interface Accepted extends Omit<Entry, 'name' | 'type'> {
  /** The path below the copied item, as a byte string with `/` as the separator; empty for the item itself. */
  readonly path: string
  readonly type: EntryType
  /** The path of a hard link's target. */
  readonly of?: string
  readonly content: AsyncIterable<Buffer>
}

/** The rules for the content of an archive. */
export interface Acceptance {
  /**
   * The top-level name of all entries, as a byte string. For the contents of a directory, it is `.`; for the contents
   * of the root directory, whose names may be absolute, it is `/`. If absent, the entries may have any single top-level
   * name.
   */
  readonly root?: string | undefined
  /** The required type of the first entry; if absent, any type is allowed. */
  readonly expected?: 'folder' | 'file' | 'file or link' | undefined
  /** The machine that the archive comes from, for messages. */
  readonly machine?: string | undefined
  /** Whether files keep their setuid, setgid and sticky bits. */
  readonly keepBits?: boolean
  /** Called for each entry that is skipped or changed. */
  readonly onSkipped: (what: string) => void
}

/** The longest accepted path, in bytes; file systems do not allow longer ones. */
const pathLimit = 1 << 14
/**
 * The limit on the total length, in bytes, of the paths of directories and links, which are kept in memory for checks.
 */
const memoryLimit = 1 << 28

const fits = (type: Entry['type'], expected: Acceptance['expected']): boolean => {
  if (expected === undefined) return true
  if (expected === 'file') return type === 'file'
  return (type === 'directory') === (expected === 'folder')
}

const isPlain = (part: string): boolean =>
  part !== '' &&
  part !== '.' &&
  part !== '..' &&
  !(process.platform === 'win32' && /[\\:]/.test(part))

/** The parts of a name; undefined if the name is invalid or points outside the archive. */
function partsOf(name: string): string[] | undefined {
  if (name === '' || name.length > pathLimit || name.startsWith('/') || name.includes('\0')) {
    return undefined
  }
  const parts = name
    .replace(/^(?:\.\/+)+/, '')
    .replace(/\/$/, '')
    .split('/')
  const bare = parts.length === 1 && (parts[0] === '.' || parts[0] === '') ? [] : parts
  return bare.every(isPlain) ? bare : undefined
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/** The names of the mode bits that are not copied. */
const specialBits = (mode: number): string =>
  [
    [0o4000, 'setuid'],
    [0o2000, 'setgid'],
    [0o1000, 'sticky'],
  ]
    .filter(([bit]) => mode & Number(bit))
    .map(([, word]) => `${word} bit`)
    .join(' and ')

/**
 * Reads an archive from an untrusted source, and yields the entries that are safe to write: files, directories and
 * links below the expected name, each in a directory that an earlier entry created, and never through a link. Throws
 * kind `failed` for all others, except FIFOs and devices, which are skipped. Files lose their setuid, setgid and sticky
 * bits.
 */
export async function* acceptEntries(
  archive: AsyncIterable<Buffer>,
  { root, expected, machine, keepBits = false, onSkipped }: Acceptance,
): AsyncGenerator<Accepted, void> {
  const folders = new Set<string>()
  const links = new Set<string>()
  let top = root === '.' || root === '/' ? '' : root
  let isFirst = true
  let remembered = 0

  const refuse = (entry: Entry, why: string): UserError =>
    new UserError('failed', `the archive was rejected: ${showName(entry.name)} ${why}`, { machine })

  /** The path of a name below the copied item; undefined if the name is not below it. */
  function below(name: string): string | undefined {
    const parts = partsOf(root === '/' ? name.replace(/^\//, './') : name)
    if (parts === undefined) return undefined
    if (isFirst && top === undefined) top = parts[0] ?? ''
    if (top === '') return parts.join('/')
    return parts[0] === top ? parts.slice(1).join('/') : undefined
  }

  function accept({ entry, content }: Read): Accepted | undefined {
    const { name, type, linkname, mode, ...facts } = entry
    const path = below(name)
    if (path === undefined) throw refuse(entry, 'was not requested')
    if (isFirst ? path !== '' : path === '' || !folders.has(parentOf(path))) {
      throw refuse(
        entry,
        isFirst ? 'is not the requested item' : 'has no parent directory in the archive',
      )
    }
    if (isFirst && !fits(type, expected)) {
      throw refuse(entry, `is a ${type}, which was not requested`)
    }
    isFirst = false
    const shown = path === '' ? name : path
    if (type === 'FIFO' || type === 'device') {
      onSkipped(`${showName(shown)} is a ${type}`)
      return undefined
    }
    if (links.has(path) || (folders.has(path) && type !== 'directory')) {
      throw refuse(entry, 'appears twice in the archive')
    }
    const common = { ...facts, path, type, content }
    if (type === 'directory') {
      remember(folders, path, entry)
      return { ...common, mode, linkname: '' }
    }
    if (type === 'symlink') {
      if (linkname === '' || linkname.includes('\0') || linkname.length > pathLimit) {
        throw refuse(entry, 'is a link with an invalid target')
      }
      remember(links, path, entry)
      return { ...common, mode, linkname }
    }
    if (type === 'hard link') {
      const of = below(linkname)
      if (of === undefined || of === '' || links.has(of) || !folders.has(parentOf(of))) {
        throw refuse(entry, 'is a hard link to a path outside the archive')
      }
      return { ...common, mode, linkname, of }
    }
    if (keepBits) return { ...common, mode, linkname: '' }
    const bits = specialBits(mode)
    if (bits !== '') onSkipped(`${showName(shown)} was copied without its ${bits}`)
    return { ...common, mode: mode & 0o777, linkname: '' }
  }

  function remember(set: Set<string>, path: string, entry: Entry): void {
    remembered += path.length
    if (remembered > memoryLimit)
      throw refuse(entry, 'exceeds the total length limit for directory and link paths')
    set.add(path)
  }

  try {
    for await (const read of readTar(archive)) {
      const accepted = accept(read)
      if (accepted !== undefined) yield accepted
    }
  } catch (error) {
    if (!(error instanceof UserError) || error.machine !== undefined) throw error
    const { kind, message, hint } = error
    throw new UserError(kind, message, { machine, hint, cause: error })
  }
  if (isFirst) throw new UserError('failed', 'the archive was rejected: it is empty', { machine })
}
