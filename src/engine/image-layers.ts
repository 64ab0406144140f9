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
  /** The digest of its uncompressed tar archive (DiffID in the OCI image specification). */
  readonly digest: string
  /** The size in bytes; absent if it cannot be determined from the history. */
  readonly size?: number
  /** The step that created it; absent if it cannot be determined from the history. */
  readonly createdBy?: string
  /** The other images of the engine that have this layer, by name or short ID. */
  readonly sharedWith: readonly string[]
}

/** An image and its layers, starting with the bottom layer. */
export interface LayeredImage {
  readonly id: string
  readonly names: readonly string[]
  readonly size: number
  readonly layers: readonly Layer[]
}

/** The maximum number of concurrent requests to an engine. */
const concurrency = 8

/** Lists the layers of the named images, or of all images, and the images that share them. */
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

/**
 * Identifies each layer by its digest and the digests of all layers below it: an engine stores identical layers only
 * once if all layers below them are identical, too.
 */
const chains = (image: ImageDetails): string[] =>
  layersOf(image).map((_, index, layers) => layers.slice(0, index + 1).join())

function usersOfLayers(images: readonly ImageDetails[]): Map<string, ImageDetails[]> {
  const users = new Map<string, ImageDetails[]>()
  for (const image of images) {
    for (const chain of chains(image)) users.set(chain, [...(users.get(chain) ?? []), image])
  }
  return users
}

/** Matches steps that change only the configuration and do not create a layer. */
const settingOnly =
  /^(?:\/bin\/sh -c #\(nop\) +)?(?:ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|SHELL|STOPSIGNAL|USER|VOLUME)\b/

/**
 * Assigns to each layer the step that created it. The history also has steps without a layer, which the API does not
 * mark. The candidates are all steps, the steps that added bytes, and the steps that did more than change the
 * configuration; the first of these lists with as many steps as the image has layers is used. If there is no such list,
 * as after an import or a squash, the steps remain unknown.
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
