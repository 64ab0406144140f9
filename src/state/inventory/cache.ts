import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { preparePrivateFolder } from '../home/home.ts'
import type { ValidInventory } from './inventory.ts'
import { ignored, trace, traceError } from '../../os/trace.ts'

/**
 * Caches parsed and validated inventories, keyed by their text. The cache may be lost at any time, so its methods never
 * reject.
 */
export interface InventoryCache {
  /** Returns the parsed inventory for this text, if it is cached. */
  find(file: string, text: string): Promise<ValidInventory | undefined>
  keep(file: string, text: string, valid: ValidInventory): Promise<void>
}

/** Maximum number of cached inventories; only the last text of each is cached. */
const maxFiles = 16
/**
 * Limits of the in-memory cache: the number of inventories, and the length of a text in characters (about 2,500
 * machines).
 */
const [maxInMemory, maxTextLength] = [4, 1 << 20]
/** Maximum size of a file in bytes; about 40,000 machines. */
const maxFileSize = 32 * 1024 * 1024

const digest = (data: string | Uint8Array): string =>
  createHash('sha256').update(data).digest('base64url')

/** A cache file. */
interface CacheEntry extends ValidInventory {
  readonly build: string
  /** Digest of the inventory's text. */
  readonly text: string
}

/** Reads a file that only this user could have written. Throws for any other file. */
async function readPrivate(file: string): Promise<Buffer> {
  const noFollow = process.platform === 'win32' ? 0 : constants.O_NOFOLLOW
  const handle = await open(file, constants.O_RDONLY | noFollow)
  try {
    const { uid, mode, size } = await handle.stat()
    const isOwn = process.getuid === undefined || (uid === process.getuid() && !(mode & 0o077))
    if (!isOwn || size > maxFileSize) throw new Error('not ours')
    const bytes = Buffer.allocUnsafe(size)
    const { bytesRead } = await handle.read(bytes)
    return bytes.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Deletes the oldest files, and temporary files of killed processes. */
async function prune(folder: string): Promise<void> {
  const names = await readdir(folder)
  if (names.length <= maxFiles) return
  const dated = await Promise.all(
    names.map(async (name) => ({ name, written: (await stat(join(folder, name))).mtimeMs })),
  )
  dated.sort((a, b) => b.written - a.written)
  await Promise.all(
    dated.slice(maxFiles).map(({ name }) => rm(join(folder, name), { force: true })),
  )
}

/** An in-memory cache for a process that reads the same inventories repeatedly. */
export interface MemoryCache {
  find(file: string, text: string): ValidInventory | undefined
  keep(file: string, text: string, valid: ValidInventory): void
}

/** Caches the last text of each inventory, within limits of a few megabytes. */
export function createMemoryCache(): MemoryCache {
  const last = new Map<string, { readonly text: string; readonly valid: ValidInventory }>()
  return {
    find(file, text) {
      const known = last.get(file)
      return known?.text === text ? known.valid : undefined
    },
    keep(file, text, valid) {
      last.delete(file)
      if (text.length > maxTextLength) return
      last.set(file, { text, valid })
      const [oldest] = last.keys()
      if (last.size > maxInMemory && oldest !== undefined) last.delete(oldest)
    },
  }
}

/**
 * Opens the cache in a private directory. `build` identifies the program: another version may validate differently.
 * `read` is an in-memory cache that is used first.
 */
export function openInventoryCache(
  folder: string,
  build: string,
  read?: MemoryCache,
): InventoryCache {
  const cacheFile = (file: string): string => join(folder, digest(resolve(file)))
  return {
    async find(file, text) {
      const known = read?.find(file, text)
      if (known !== undefined) return known
      try {
        const bytes = await readPrivate(cacheFile(file))
        const lineEnd = bytes.indexOf('\n')
        const content = bytes.subarray(lineEnd + 1)
        if (bytes.toString('latin1', 0, lineEnd) !== digest(content)) return undefined
        const kept = JSON.parse(content.toString()) as CacheEntry
        if (kept.build !== build || kept.text !== digest(text)) return undefined
        read?.keep(file, text, kept)
        trace('inventory', `read ${file} from the cache`)
        return kept
      } catch (error) {
        traceError('inventory', 'read the cache', error)
        return undefined
      }
    },
    async keep(file, text, { file: parsed, names }) {
      const place = cacheFile(file)
      const temporary = `${place}.${randomBytes(6).toString('hex')}`
      try {
        const kept: CacheEntry = { build, text: digest(text), file: parsed, names }
        const content = JSON.stringify(kept)
        if (content.length > maxFileSize / 2) return
        await preparePrivateFolder(folder)
        await writeFile(temporary, `${digest(content)}\n${content}`, { flag: 'wx', mode: 0o600 })
        await rename(temporary, place)
        await prune(folder)
      } catch (error) {
        traceError('inventory', 'write the cache', error)
        await rm(temporary, { force: true }).catch(
          ignored('inventory', 'remove a temporary cache file'),
        )
      }
    },
  }
}
