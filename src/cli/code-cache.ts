import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import nodeModule from 'node:module'
import { basename, dirname, join } from 'node:path'
import vm from 'node:vm'

/**
 * The maximum size, in characters, of a file whose compiled code is kept in the shared cache file. Larger files are the
 * SDKs of providers: each has its own cache file, which is read only by commands that load the SDK.
 */
const largestShared = 600_000
/** The maximum number of cache files. Each build needs a few for each Node.js release. */
const maxKept = 40

/** A file of the bundle that was loaded. */
interface Loaded {
  readonly script: vm.Script
  /** The path of the cache file with its compiled code. */
  readonly store: string
  isKept: boolean
}

/** Loads files of the bundle. */
export interface Code {
  /** Loads a file of the bundle, and returns its exports. */
  load(file: string): unknown
  /** Writes newly compiled code to the cache. This is also done when the process exits. */
  keep(): void
}

/** The first line of a cache file. */
interface Head {
  /**
   * The digest of the rest of the file. It is needed because V8 verifies cached code only superficially, and can crash
   * if a single bit is wrong.
   */
  readonly digest: string
  /** The name of each file, and the size of its compiled code, in bytes. */
  readonly sizes: readonly (readonly [name: string, size: number])[]
}

const digest = (bytes: Buffer): string =>
  process.getBuiltinModule('node:crypto').createHash('sha256').update(bytes).digest('base64url')

/**
 * Reads the compiled code in a cache file, keyed by bundle file. The result is empty if the cache file is missing or
 * damaged, or if other users can access it.
 */
function readCompiled(file: string): Map<string, Buffer> {
  const compiled = new Map<string, Buffer>()
  try {
    const descriptor = openSync(file, 'r')
    try {
      const { uid, mode } = fstatSync(descriptor)
      if (process.getuid !== undefined && (uid !== process.getuid() || (mode & 0o077) !== 0)) {
        return compiled
      }
      const bytes = readFileSync(descriptor)
      const end = bytes.indexOf('\n')
      let at = end + 1
      const head = JSON.parse(bytes.toString('utf8', 0, end)) as Head
      if (head.digest !== digest(bytes.subarray(at))) return compiled
      for (const [name, size] of head.sizes) compiled.set(name, bytes.subarray(at, (at += size)))
    } finally {
      closeSync(descriptor)
    }
  } catch {
    compiled.clear() // missing or damaged: the code is compiled again
  }
  return compiled
}

/**
 * Replaces a cache file, and deletes the oldest cache files if there are too many. Errors are ignored: without the
 * file, the code is compiled again.
 */
function writeCompiled(file: string, compiled: ReadonlyMap<string, Buffer>): void {
  const folder = dirname(file)
  const temporary = `${file}.${process.pid}`
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const content = Buffer.concat([...compiled.values()])
    const sizes = [...compiled].map(([name, { length }]) => [name, length] as const)
    const head: Head = { digest: digest(content), sizes }
    const bytes = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), content])
    writeFileSync(temporary, bytes, { flag: 'wx', mode: 0o600 })
    renameSync(temporary, file)
    const dated = readdirSync(folder).map((name) => {
      const path = join(folder, name)
      return { path, written: statSync(path).mtimeMs }
    })
    dated.sort((a, b) => b.written - a.written)
    for (const { path } of dated.slice(maxKept)) rmSync(path, { force: true })
  } catch {
    rmSync(temporary, { force: true })
  }
}

/**
 * Loads the bundle's files from `folder` faster than Node.js does: without searching for them, and with the compiled
 * code in `cache`, a file that belongs to this build and that only this user can write, because its code runs as this
 * user. When the process exits, newly compiled code is added; the code of large files is written to separate cache
 * files. Without `cache`, nothing is kept. V8 compiles a function when it is first called, so a command's cache file
 * contains only the functions that the command calls. Node.js has had a similar cache only since version 22.1.
 */
export function openCode(folder: string, cache: string | undefined): Code {
  const stores = new Map<string, Map<string, Buffer>>()
  const loaded = new Map<string, Loaded>()
  const requireNode = nodeModule.createRequire(join(folder, 'main.js'))

  function readStore(store: string): Map<string, Buffer> {
    const compiled = stores.get(store) ?? readCompiled(store)
    stores.set(store, compiled)
    return compiled
  }

  function compile(file: string, source: string): vm.Script {
    const name = file.slice(folder.length)
    const isShared = source.length <= largestShared
    const store = isShared || cache === undefined ? cache : `${cache}-${basename(file, '.js')}`
    const cachedData = store === undefined ? undefined : readStore(store).get(name)
    const script = new vm.Script(nodeModule.wrap(source), {
      filename: file,
      ...(cachedData && { cachedData }),
    })
    if (store !== undefined) {
      const isKept = cachedData !== undefined && script.cachedDataRejected !== true
      loaded.set(name, { script, store, isKept })
    }
    return script
  }

  function load(file: string): unknown {
    const known = requireNode.cache[file]
    if (known !== undefined) return known.exports
    const source = readFileSync(file, 'utf8')
    if (source.includes('import(')) return requireNode(file) // not a file of the bundle; vm scripts cannot import
    const own = new nodeModule(file)
    own.filename = file
    requireNode.cache[file] = own // so that every importer of the driver SDK gets the same module
    const here = dirname(file)
    const require = (name: string): unknown => {
      if (!name.startsWith('.')) return requireNode(name)
      return name.endsWith('.js') ? load(join(here, name)) : requireNode(join(here, name))
    }
    const run = compile(file, source).runInThisContext() as (...names: unknown[]) => void
    try {
      run.call(own.exports, own.exports, require, own, file, here)
    } catch (error) {
      delete requireNode.cache[file]
      throw error
    }
    own.loaded = true
    return own.exports
  }

  function keep(): void {
    for (const [store, compiled] of stores) {
      const own = [...loaded].filter(([, one]) => one.store === store)
      if (own.every(([, { isKept }]) => isKept)) continue
      for (const [name, one] of own) {
        compiled.set(name, one.script.createCachedData()) // includes all functions called so far
        one.isKept = true
      }
      writeCompiled(store, compiled)
    }
  }

  process.once('exit', keep)
  return { load: (file) => load(join(folder, file)), keep }
}
