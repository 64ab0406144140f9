import { createHash } from 'node:crypto'
import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import { fetchChecksum } from './published-checksums.ts'
import { type CachedImage, type ImageCache, openImageCache } from './image-cache.ts'
import { type DiskFormat, inspectDisk } from './disk-format.ts'
import type { DownloadCall } from './download.ts'
import { type ImageSource, parseImage } from './disk-image-reference.ts'
import { type Architecture, type Catalogue, namedImages } from './named-images.ts'
import type { ReadTar } from './unpack-ova.ts'
import { ignored } from '../os/trace.ts'
import { type Digest, checkDigest, digestFile, hasDigest } from './verify-checksum.ts'

/** A read-only disk that a host can boot from. It may be deleted later. */
interface Disk {
  readonly path: string
  readonly format: DiskFormat
  /** Virtual size in bytes. */
  readonly size: number
  /** Digest of the original image, which identifies the disk. */
  readonly digest: string
}

/** Access to disk images: published images, identified by name, and the user's own images. */
export interface DiskImages {
  /**
   * Returns the disk for `NAME|PATH|URL[#sha256=…]` as one file, downloading it if necessary. Throws kind `usage` if
   * the file is not a disk image or refers to other files, `unreachable` if the download fails, and `failed` if the
   * checksum is wrong.
   */
  resolve(
    image: string,
    at: { readonly arch: Architecture; readonly folder: string },
    call: DownloadCall,
  ): Promise<Disk>
  list(): Promise<readonly CachedImage[]>
  remove(key: string): Promise<void>
}

const keyOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 20)

/** Finds the newest cached image with a label, for offline use. Throws `error` if there is none. */
async function findOffline(
  cache: ImageCache,
  label: string,
  error: UserError,
  call: DownloadCall,
): Promise<CachedImage> {
  for (const image of await cache.list()) {
    if (image.label !== label || !(await hasDigest(image.path, image.digest, call.signal))) continue
    call.progress(`${error.message}: using the cached image from ${image.since.slice(0, 10)}`)
    return image
  }
  throw error
}

async function getNamed(
  cache: ImageCache,
  { name, published }: Extract<ImageSource, { kind: 'named' }>,
  arch: Architecture,
  call: DownloadCall,
): Promise<CachedImage> {
  const label = `${name} ${arch}`
  const { url, checksums } = published
  try {
    const digest: Digest = `${checksums.algorithm}:${await fetchChecksum(published, call.signal)}`
    return await cache.get({ key: keyOf(digest), label, url, digest }, call)
  } catch (error) {
    if (!(error instanceof UserError) || error.kind !== 'unreachable') throw error
    return findOffline(cache, label, error, call)
  }
}

async function checkFile(
  { path, sha256 }: Extract<ImageSource, { kind: 'file' }>,
  call: DownloadCall,
): Promise<Pick<CachedImage, 'path' | 'digest'>> {
  const found = await stat(path).catch(ignored('driver', 'check the disk image'))
  if (!found?.isFile()) {
    throw new UserError('usage', `there is no image ${path}`, {
      hint: "relative paths are resolved from the inventory's directory",
    })
  }
  call.progress('check the image')
  const digest: Digest = `sha256:${await digestFile(path, 'sha256', call.signal)}`
  const expected: Digest | undefined = sha256 === undefined ? undefined : `sha256:${sha256}`
  checkDigest(path, digest, expected, 'check the image and the checksum')
  return { path: await realpath(path), digest } // drivers hard-link this path, which must not be a symbolic link
}

/**
 * Maximum size of a download, in bytes: larger than any published image, and smaller than the free space on most disks.
 */
const maxDownload = 64 * 2 ** 30

/** Opens the disk images, which are cached in a subdirectory of `folder`. */
export function openDiskImages(
  folder: string,
  readTar: ReadTar,
  catalogue: Catalogue = namedImages,
  { maxBytes = maxDownload } = {},
): DiskImages {
  const cache = openImageCache(join(folder, 'images'), maxBytes)

  async function getImage(
    source: ImageSource,
    arch: Architecture,
    call: DownloadCall,
  ): Promise<Pick<CachedImage, 'path' | 'digest'>> {
    if (source.kind === 'file') return checkFile(source, call)
    if (source.kind === 'named') return getNamed(cache, source, arch, call)
    const { url, sha256 } = source
    const digest: Digest | undefined = sha256 === undefined ? undefined : `sha256:${sha256}`
    return cache.get({ key: keyOf(digest ?? url), label: url, url, digest }, call)
  }

  /** Extracts an OVA's disk, which is cached as a separate image. */
  async function unpack(
    image: string,
    { path, digest }: Pick<CachedImage, 'path' | 'digest'>,
    call: DownloadCall,
  ): Promise<string> {
    const label = `disk of ${image}`
    const make = async (file: string): Promise<void> => {
      call.progress('unpack the image')
      const { unpackOva } = await import('./unpack-ova.ts')
      await unpackOva(path, file, { readTar, signal: call.signal })
    }
    const wanted = { key: keyOf(`disk of ${digest}`), label, url: image, digest: undefined, make }
    return (await cache.get(wanted, call)).path
  }

  return {
    list: () => cache.list(),
    remove: (key) => cache.remove(key),
    async resolve(image, { arch, folder }, call) {
      const source = parseImage(image, arch, { catalogue, folder })
      const { path, digest } = await getImage(source, arch, call)
      const found = await inspectDisk(path)
      if (found.format !== 'ova') return { path, ...found, digest }
      const inside = await unpack(image, { path, digest }, call)
      const unpacked = await inspectDisk(inside)
      if (unpacked.format === 'ova') throw new UserError('usage', `${path} contains no disk`)
      return { path: inside, ...unpacked, digest }
    },
  }
}
