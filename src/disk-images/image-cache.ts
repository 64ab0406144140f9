import { mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { childPath } from '../os/child-path.ts'
import { UserError, codeOf } from '../errors.ts'
import { withLock } from '../os/lock.ts'
import { type DownloadCall, download } from './download.ts'
import { replaceFile } from '../os/replace-file.ts'
import { ignored } from '../os/trace.ts'
import { type Digest, algorithmOf, checkDigest, digestFile, hasDigest } from './verify-checksum.ts'

/** A cached image. */
export interface CachedImage {
  /** The image's key in the cache, for `remove`. */
  readonly key: string
  /** The name with its architecture, or the URL; for an OVA's disk, `disk of` and the OVA's reference. */
  readonly label: string
  readonly url: string
  readonly digest: Digest
  readonly bytes: number
  /** Time of the download, in ISO 8601. */
  readonly since: string
  readonly path: string
}

/** The image to get. */
interface ImageRequest {
  readonly key: string
  readonly label: string
  readonly url: string
  /** The expected digest; if undefined, any content is accepted. */
  readonly digest: Digest | undefined
  /** Creates the file instead of downloading it. */
  readonly make?: (file: string) => Promise<void>
}

/** A cache that downloads each image only once, even if several processes request it concurrently. */
export interface ImageCache {
  /** Lists the cached images, newest first. */
  list(): Promise<readonly CachedImage[]>
  /** Returns the image, and downloads it if it is missing or damaged. Throws kind `failed` if the checksum is wrong. */
  get(request: ImageRequest, call: DownloadCall): Promise<CachedImage>
  remove(key: string): Promise<void>
}

/** How long to wait for another process before reporting the wait again, in milliseconds. */
const lockTimeout = 2000

/** Runs `work` while holding an image's lock. Waits for other processes as long as necessary, and reports the wait. */
async function withImageLock<Value>(
  file: string,
  call: DownloadCall,
  work: () => Promise<Value>,
): Promise<Value> {
  for (;;) {
    call.signal.throwIfAborted()
    let started = false
    try {
      return await withLock(
        file,
        async () => {
          started = true
          return work()
        },
        lockTimeout,
      )
    } catch (error) {
      if (started || !(error instanceof UserError && error.kind === 'locked')) throw error
      call.progress('download the image', 'waiting for another fleet process')
    }
  }
}

/** Opens the cache in `folder`. The cache downloads at most `maxBytes` per image. */
export function openImageCache(folder: string, maxBytes: number): ImageCache {
  const place = (key: string, ending: string): string => childPath(folder, `${key}.${ending}`)

  async function read(key: string): Promise<CachedImage | undefined> {
    try {
      const metadata = JSON.parse(await readFile(place(key, 'json'), 'utf8')) as Omit<
        CachedImage,
        'key' | 'path' | 'bytes'
      >
      const { size } = await stat(place(key, 'img'))
      return { ...metadata, key, bytes: size, path: place(key, 'img') }
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
      throw error
    }
  }

  async function fetchNew(request: ImageRequest, call: DownloadCall): Promise<CachedImage> {
    const { key, label, url } = request
    const algorithm = algorithmOf(request.digest)
    const part = place(key, 'part')
    const resumed = (await stat(part).catch(() => undefined)) !== undefined
    await (request.make?.(part) ?? download(url, part, `download ${label}`, { ...call, maxBytes }))
    call.progress('check the image')
    const digest: Digest = `${algorithm}:${await digestFile(part, algorithm, call.signal)}`
    try {
      checkDigest(
        url,
        digest,
        request.digest,
        'try again; if the error persists, do not use the image',
      )
    } catch (error) {
      await rm(part, { force: true })
      if (resumed) return fetchNew(request, call) // the two parts may be from different versions
      throw error
    }
    const note = { label, url, digest, since: new Date().toISOString() }
    await rename(part, place(key, 'img'))
    await replaceFile(place(key, 'json'), JSON.stringify(note))
    const image = await read(key)
    if (image === undefined) throw new TypeError(`the image ${key} disappeared from the cache`)
    return image
  }

  return {
    async list() {
      const names = await readdir(folder).catch(
        ignored('driver', 'list the cached disk images', []),
      )
      const keys = names
        .filter((name) => name.endsWith('.json'))
        .map((name) => name.slice(0, -'.json'.length))
      const found = await Promise.all(keys.map(read))
      return found
        .filter((image) => image !== undefined)
        .sort((a, b) => b.since.localeCompare(a.since))
    },
    async get(request, call) {
      await mkdir(folder, { recursive: true })
      return withImageLock(place(request.key, 'img'), call, async () => {
        const here = await read(request.key)
        if (here !== undefined) {
          call.progress('check the image')
          const isRight = request.digest === undefined || request.digest === here.digest
          if (isRight && (await hasDigest(here.path, here.digest, call.signal))) return here
          call.progress('download the image again, because the cached copy is damaged')
          await rm(place(request.key, 'json'), { force: true })
          await rm(here.path, { force: true })
        }
        return fetchNew(request, call)
      })
    },
    async remove(key) {
      await rm(place(key, 'json'), { force: true })
      const names = await readdir(folder).catch(
        ignored('driver', 'list the cached disk images', []),
      )
      const own = names.filter((name) => name.startsWith(`${key}.`) && !name.endsWith('.lock'))
      for (const name of own) await rm(join(folder, name), { force: true })
    },
  }
}
