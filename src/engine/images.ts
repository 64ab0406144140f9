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
  /** Bytes of all its layers together. */
  readonly Size: number
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

const readImage: Read<ImageSummary> = object<ImageSummary>(imageFields)

export interface ListImagesOptions {
  /** The layers in between, too. */
  readonly all?: boolean
  readonly digests?: boolean
  readonly filters?: Filters
  readonly signal?: AbortSignal
}

/** The images of an engine, newest first. */
export const listImages = (
  engine: Engine,
  { signal, ...query }: ListImagesOptions = {},
): Promise<readonly ImageSummary[]> =>
  engine.json({ path: '/images/json', query, ...(signal && { signal }) }, list(readImage))

/** All about one image (ImageInspect); what fleet reads of it is typed. */
export interface ImageDetails {
  readonly Id: string
  readonly RepoTags: readonly string[] | null
  readonly Size: number
  /** The layers from the lowest, each by the digest of its uncompressed tar (its DiffID). */
  readonly RootFS: { readonly Layers?: readonly string[] | null }
  readonly [part: string]: unknown
}

const readDetails = whole<Pick<ImageDetails, 'Id' | 'RepoTags' | 'Size' | 'RootFS'>>({
  Id: id,
  RepoTags: listOrNull(text),
  Size: number,
  RootFS: object<ImageDetails['RootFS']>({ Layers: optional(list(id)) }),
})

/** All about an image, named by reference or id. */
export const inspectImage = (
  engine: Engine,
  image: string,
  signal?: AbortSignal,
): Promise<ImageDetails> =>
  engine.json({ path: `${imagePath(image)}/json`, ...(signal && { signal }) }, readDetails)

/** As {@link inspectImage}; undefined where there is no such image. */
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

/** Gives an image another name, `repository:tag`. */
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

/** One step of how an image was made (ImageHistory). */
export interface HistoryEntry {
  /** The image after this step, or `<missing>` where another engine made it. */
  readonly Id: string
  /** Unix seconds. */
  readonly Created: number
  readonly CreatedBy: string
  readonly Tags: readonly string[] | null
  /** Bytes that the step added; 0 also where it made no layer. */
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

/** How an image was made, the last step first. */
export const readHistory = (
  engine: Engine,
  image: string,
  signal?: AbortSignal,
): Promise<readonly HistoryEntry[]> =>
  engine.json({ path: `${imagePath(image)}/history`, ...(signal && { signal }) }, list(readStep))

/** The slashes of a reference stand as they are in the API's paths. */
const imagePath = (image: string): string =>
  `/images/${image.split('/').map(encodeURIComponent).join('/')}`
