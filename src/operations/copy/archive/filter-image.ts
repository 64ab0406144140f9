import { buffer } from 'node:stream/consumers'
import { fullNameOf } from '../../../docker/image-reference.ts'
import { UserError } from '../../../errors.ts'
import { type Read, readTar } from './read-tar.ts'
import { encodeHeader, endOfArchive, padding, showName } from './tar-format.ts'

/** The image that an archive must contain. */
export interface WantedImage {
  /** The image ID, `sha256:…`. */
  readonly id: string
  /** The name with its tag; absent for an image that is copied by its ID. */
  readonly tag: string | undefined
}

/** The limit on the total length, in characters, of the names in an archive, which are kept in memory. */
const namesLimit = 1 << 26

/** The largest metadata file, in bytes. */
const metadataLimit = 4 << 20

const refuse = (why: string): UserError =>
  new UserError('failed', `the image archive was rejected: ${why}`)

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Picks the wanted image; `matches` is called only if there are several images. */
function chooseOne(images: unknown, matches: (image: Json) => boolean): Json {
  const all = Array.isArray(images) ? images.filter(isObject) : []
  const chosen = all.length === 1 ? all : all.filter(matches)
  const [image] = chosen
  if (image === undefined || chosen.length > 1) {
    throw refuse(all.length === 0 ? 'it contains no image' : 'it contains several images')
  }
  return image
}

const hexOf = (id: string): string => id.replace(/^sha256:/, '')

/** Reduces `manifest.json` to the wanted image and name. */
function filterManifest(images: unknown, { id, tag }: WantedImage): unknown {
  const image = chooseOne(images, ({ RepoTags, Config }) =>
    tag === undefined
      ? typeof Config === 'string' && Config.includes(hexOf(id))
      : Array.isArray(RepoTags) && RepoTags.includes(tag),
  )
  return [{ ...image, RepoTags: tag === undefined ? null : [tag] }]
}

const nameKey = 'io.containerd.image.name'
const tagKey = 'org.opencontainers.image.ref.name'

/** Reduces the OCI `index.json` in the same way; names are annotations there. */
function filterIndex(index: unknown, { id, tag }: WantedImage): unknown {
  if (!isObject(index)) throw refuse('its index.json is not an OCI image index')
  const fullName = tag === undefined ? undefined : fullNameOf(tag)
  const image = chooseOne(index['manifests'], ({ digest, annotations }) =>
    fullName === undefined
      ? digest === id
      : isObject(annotations) && [fullName, tag].includes(annotations[nameKey] as string),
  )
  const {
    [nameKey]: _name,
    [tagKey]: _tag,
    ...others
  } = isObject(image['annotations']) ? image['annotations'] : {}
  const names =
    fullName === undefined
      ? {}
      : { [nameKey]: fullName, [tagKey]: fullName.slice(fullName.lastIndexOf(':') + 1) }
  return { ...index, manifests: [{ ...image, annotations: { ...others, ...names } }] }
}

const filters: Readonly<Record<string, (value: unknown, wanted: WantedImage) => unknown>> = {
  'manifest.json': filterManifest,
  'index.json': filterIndex,
}

/** A file in older archives that repeats the names from `manifest.json`. */
const dropped = new Set(['repositories'])

async function readJson({ entry, content }: Read): Promise<unknown> {
  if (entry.type !== 'file' || entry.size > metadataLimit) {
    throw refuse(`${showName(entry.name)} is not a file, or is too large`)
  }
  try {
    return JSON.parse((await buffer(content)).toString('utf8')) as unknown
  } catch (error) {
    if (error instanceof SyntaxError) throw refuse(`${showName(entry.name)} is not valid JSON`)
    throw error
  }
}

/** Normalizes a name. Throws if it points outside the archive. */
function plainName(name: string): string {
  const plain = name.replace(/^(?:\.\/+)+/, '').replace(/\/$/, '')
  const isPlain = plain.split('/').every((part) => !['', '.', '..'].includes(part))
  if (!isPlain || name.includes('\0'))
    throw refuse(`it contains the invalid path ${showName(name)}`)
  return plain
}

/** In older archives, two images share a layer through a symbolic link from one image's directory to the other's. */
const isLayerLink = (target: string): boolean => /^\.\.\/[0-9a-f]{64}\/layer\.tar$/.test(target)

/**
 * Filters an archive of `docker save` from an untrusted source, so that loading it adds only the image `wanted` under its own
 * name. Throws kind `failed` if the archive does not contain it.
 */
export async function* filterImage(
  archive: AsyncIterable<Buffer>,
  wanted: WantedImage,
): AsyncGenerator<Buffer, void> {
  const seen = new Set<string>()
  let length = 0
  for await (const read of readTar(archive)) {
    const { entry, content } = read
    const name = plainName(entry.name)
    if (seen.has(name) && entry.type !== 'directory')
      throw refuse(`it contains ${showName(name)} twice`)
    seen.add(name)
    length += name.length
    if (length > namesLimit) throw refuse('it contains too many files')
    if (dropped.has(name)) continue
    const { type, size } = entry
    const filter = Object.hasOwn(filters, name) ? filters[name] : undefined
    if (filter !== undefined) {
      const json = Buffer.from(JSON.stringify(filter(await readJson(read), wanted)))
      yield encodeHeader({ ...entry, name, type: 'file', size: json.length })
      yield Buffer.concat([json, padding(json.length)])
      continue
    }
    const isAllowed =
      type === 'file' || type === 'directory' || (type === 'symlink' && isLayerLink(entry.linkname))
    if (!isAllowed) throw refuse(`${showName(name)} is a ${type}, which is not allowed`)
    yield encodeHeader({ ...entry, name, type })
    if (size === 0) continue
    yield* content
    yield padding(size)
  }
  if (!seen.has('manifest.json')) throw refuse('it has no manifest.json')
  yield endOfArchive
}
