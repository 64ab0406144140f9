import pLimit from 'p-limit'
import type { Engine } from './engine.ts'
import {
  type HistoryEntry,
  type ImageDetails,
  inspectImage,
  listImages,
  readHistory,
} from './images.ts'

/** A layer of an image. */
export interface Layer {
  /** Digest of its uncompressed tar (DiffID of the OCI image specification). */
  readonly digest: string
  /** Bytes; absent where the image's history does not tell. */
  readonly size?: number
  /** The step that made it; absent where the image's history does not tell. */
  readonly createdBy?: string
  /** The other images of the engine that use this very layer, by name or short id. */
  readonly sharedWith: readonly string[]
}

/** An image with its layers, the lowest first. */
export interface LayeredImage {
  readonly id: string
  readonly names: readonly string[]
  readonly size: number
  readonly layers: readonly Layer[]
}

/** How many questions an engine is asked at once. */
const concurrency = 8

/** The layers of the images named, or of all, and which of the engine's images share them. */
export async function imageLayers(
  engine: Engine,
  { images, signal }: { images?: readonly string[]; signal?: AbortSignal } = {},
): Promise<LayeredImage[]> {
  const limit = pLimit(concurrency)
  const inspect = (image: string) => limit(() => inspectImage(engine, image, signal))
  const listed = await listImages(engine, signal ? { signal } : {})
  const [all, named] = await Promise.all([
    Promise.all(listed.map(({ Id }) => inspect(Id))),
    images && Promise.all(images.map(inspect)),
  ])
  const users = usersOfLayers(all)
  const describe = async (image: ImageDetails): Promise<LayeredImage> => {
    const history = await limit(() => readHistory(engine, image.Id, signal))
    const sharers = chains(image).map((chain) => ({
      sharedWith: (users.get(chain) ?? []).filter(({ Id }) => Id !== image.Id).map(nameOf),
    }))
    return {
      id: image.Id,
      names: image.RepoTags ?? [],
      size: image.Size,
      layers: joinHistory(image, history).map((layer, index) =>
        Object.assign({ sharedWith: [] }, layer, sharers[index]),
      ),
    }
  }
  return Promise.all((named ?? all).map(describe))
}

const layersOf = (image: ImageDetails): readonly string[] => image.RootFS.Layers ?? []

const nameOf = ({ Id, RepoTags }: ImageDetails): string =>
  RepoTags?.[0] ?? Id.replace(/^sha256:/, '').slice(0, 12)

/** Each layer with those below it: the engine stores a layer once only where these are the same too. */
const chains = (image: ImageDetails): string[] =>
  layersOf(image).map((_, index, layers) => layers.slice(0, index + 1).join())

function usersOfLayers(images: readonly ImageDetails[]): Map<string, ImageDetails[]> {
  const users = new Map<string, ImageDetails[]>()
  for (const image of images) {
    for (const chain of chains(image)) users.set(chain, [...(users.get(chain) ?? []), image])
  }
  return users
}

/** Steps that change how containers start, and no file: they make no layer. */
const settingOnly =
  /^(?:\/bin\/sh -c #\(nop\) +)?(?:ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|SHELL|STOPSIGNAL|USER|VOLUME)\b/

/**
 * Gives each layer the step that made it. The history also has steps that made no layer, and the
 * API does not mark them, so the steps are those that added bytes, else those that are no mere
 * setting; where neither count fits, as after an import or a squash, the steps stay unknown.
 */
export function joinHistory(
  image: ImageDetails,
  history: readonly HistoryEntry[],
): Omit<Layer, 'sharedWith'>[] {
  const digests = layersOf(image)
  const oldestFirst = history.toReversed()
  const steps = [
    oldestFirst,
    oldestFirst.filter(({ Size }) => Size > 0),
    oldestFirst.filter(({ Size, CreatedBy }) => Size > 0 || !settingOnly.test(CreatedBy)),
  ].find(({ length }) => length === digests.length)
  return digests.map((digest, index) => {
    const step = steps?.[index]
    if (step !== undefined) return { digest, size: step.Size, createdBy: step.CreatedBy }
    return digests.length === 1 ? { digest, size: image.Size } : { digest }
  })
}
