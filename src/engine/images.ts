import { UserError } from '../errors.ts'
import {
  type Read,
  id,
  list,
  listOrNull,
  moment,
  nothing,
  number,
  object,
  optional,
  record,
  text,
  whole,
  withDefault,
} from './answer.ts'
import type { Filters } from './containers.ts'
import type { Engine } from './engine.ts'

/** An image in a list (ImageList). */
export interface ImageSummary {
  readonly Id: string
  readonly ParentId: string
  readonly RepoTags: readonly string[] | null
  readonly RepoDigests: readonly string[] | null
  /** Unix seconds. */
  readonly Created: number
  /** The total size of its layers, in bytes. */
  readonly Size: number
  /**
   * The total size of the layers that it shares with other images, in bytes; absent or -1 if the engine did not measure
   * them.
   */
  readonly SharedSize?: number | undefined
  readonly Labels: Readonly<Record<string, string>> | null
}

export const imageFields = {
  Id: id,
  ParentId: withDefault(text, ''),
  RepoTags: listOrNull(text),
  RepoDigests: listOrNull(text),
  Created: moment,
  Size: number,
  Labels: withDefault(record(text), {}),
}

const readImage: Read<ImageSummary> = object<ImageSummary>({
  ...imageFields,
  SharedSize: optional(number),
})

export interface ListImagesOptions {
  /** Include intermediate images. */
  readonly all?: boolean
  readonly digests?: boolean
  /** Measure the sizes of shared layers, which is slow (API 1.42). */
  readonly 'shared-size'?: boolean
  readonly filters?: Filters
  readonly signal?: AbortSignal
}

/** Lists the images of an engine, newest first. */
export const listImages = (
  engine: Engine,
  { signal, ...query }: ListImagesOptions = {},
): Promise<readonly ImageSummary[]> =>
  engine.json({ path: '/images/json', query, ...(signal && { signal }) }, list(readImage))

/** The details of an image (ImageInspect). Only the fields that fleet uses are typed. */
export interface ImageDetails {
  readonly Id: string
  readonly RepoTags: readonly string[] | null
  readonly Size: number
  /** The digests of the layers' uncompressed tar archives (DiffIDs), starting with the bottom layer. */
  readonly RootFS: { readonly Layers?: readonly string[] | null }
  readonly [part: string]: unknown
}

const readDetails = whole<Pick<ImageDetails, 'Id' | 'RepoTags' | 'Size' | 'RootFS'>>({
  Id: id,
  RepoTags: listOrNull(text),
  Size: number,
  RootFS: object<ImageDetails['RootFS']>({ Layers: optional(list(id)) }),
})

/** Inspects an image by name or ID. */
export const inspectImage = (
  engine: Engine,
  image: string,
  signal?: AbortSignal,
): Promise<ImageDetails> =>
  engine.json({ path: `${imagePath(image)}/json`, ...(signal && { signal }) }, readDetails)

/** Like {@link inspectImage}, but resolves to undefined if there is no such image. */
export async function findImage(
  engine: Engine,
  image: string,
  signal?: AbortSignal,
): Promise<ImageDetails | undefined> {
  try {
    return await inspectImage(engine, image, signal)
  } catch (error) {
    if (error instanceof UserError && /no such image/i.test(error.message)) return undefined
    throw error
  }
}

/** Adds a name, `repository:tag`, to an image. */
export async function tagImage(
  engine: Engine,
  image: string,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  const colon = name.lastIndexOf(':')
  const query = { repo: name.slice(0, colon), tag: name.slice(colon + 1) }
  await engine.json(
    { method: 'POST', path: `${imagePath(image)}/tag`, query, ...(signal && { signal }) },
    nothing,
  )
}

/** Removes an image by ID or name. Throws kind `failed` if a container uses it, or if it has several names. */
export const removeImage = (engine: Engine, image: string, signal?: AbortSignal): Promise<void> =>
  engine.json({ method: 'DELETE', path: imagePath(image), ...(signal && { signal }) }, nothing)

/** One step of the history of an image (ImageHistory). */
export interface HistoryEntry {
  /** The ID of the image after this step, or `<missing>` if it was built on another engine. */
  readonly Id: string
  /** Unix seconds. */
  readonly Created: number
  readonly CreatedBy: string
  readonly Tags: readonly string[] | null
  /** The number of bytes that the step added; also 0 if it did not create a layer. */
  readonly Size: number
  readonly Comment: string
}

const readStep: Read<HistoryEntry> = object<HistoryEntry>({
  Id: text,
  Created: moment,
  CreatedBy: withDefault(text, ''),
  Tags: listOrNull(text),
  Size: number,
  Comment: withDefault(text, ''),
})

/** Reads the history of an image, starting with the last step. */
export const readHistory = (
  engine: Engine,
  image: string,
  signal?: AbortSignal,
): Promise<readonly HistoryEntry[]> =>
  engine.json({ path: `${imagePath(image)}/history`, ...(signal && { signal }) }, list(readStep))

/** Returns the API path of an image. The slashes of the reference are not encoded. */
const imagePath = (image: string): string =>
  `/images/${image.split('/').map(encodeURIComponent).join('/')}`
