import { nothing } from '../../engine/answer.ts'
import type { Engine } from '../../engine/engine.ts'
import { listImages, tagImage } from '../../engine/images.ts'
import { ignored } from '../../os/trace.ts'
import type { Release } from './host-store/releases.ts'
import { createIdle, idleLabels, listIdle, removeIdle } from './idle-container.ts'
import { filtersOf } from './observe-stack.ts'
import { type StackModel, imageOf, imagePart } from './stack-model.ts'

/** The name that protects an image of a release from `docker image prune`. */
const releaseTag = (stack: string, service: string, release: number): string =>
  `fleet-release/${imagePart(stack)}/${imagePart(service)}:${release}`

/** The number of digits of an image ID in a container name. */
const shownDigits = 12

const keeperName = (stack: string, image: string): string =>
  `fleet-release-${imagePart(stack)}-${image.replace(/^sha256:/, '').slice(0, shownDigits)}`

/** Returns the image IDs of a model, keyed by service. Images that the host does not have are omitted. */
export const imagesByService = (
  model: StackModel,
  images: ReadonlyMap<string, string>,
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(model.services).flatMap(([name, service]) => {
      const id = images.get(imageOf(model.name, name, service))
      return id === undefined ? [] : [[name, id] as const]
    }),
  )

/** Adds names to the images of a release, so that `docker image prune` keeps them. */
export async function keepImages(
  engine: Engine,
  stack: string,
  { number, images }: Pick<Release, 'number' | 'images'>,
): Promise<void> {
  for (const [service, id] of Object.entries(images)) {
    await tagImage(engine, id, releaseTag(stack, service, number))
  }
}

/**
 * Protects the images of the given releases from `docker image prune --all`, and stops protecting the stack's other
 * images. Images that the engine no longer has are skipped.
 */
export async function holdImages(
  engine: Engine,
  stack: string,
  releases: readonly Pick<Release, 'images'>[],
): Promise<void> {
  const used = new Set(releases.flatMap(({ images }) => Object.values(images)))
  const keepers = await listIdle(engine, idleLabels.keeper, stack)
  await removeIdle(
    engine,
    keepers.filter(({ ImageID }) => !used.has(ImageID)),
  )
  const held = new Set(keepers.map(({ ImageID }) => ImageID))
  const labels = { [idleLabels.keeper]: stack }
  for (const image of [...used].filter((one) => !held.has(one))) {
    await createIdle(engine, { name: keeperName(stack, image), image, labels }).catch(
      ignored('docker', 'create a placeholder container to protect an image from pruning'),
    )
  }
}

/** Removes the names that {@link keepImages} added, and images that have no other name. Images in use are kept. */
export async function dropImages(
  engine: Engine,
  stack: string,
  { number, images }: Pick<Release, 'number' | 'images'>,
): Promise<void> {
  for (const service of Object.keys(images)) {
    await dropName(engine, releaseTag(stack, service, number))
  }
}

/** Removes a name of an image. */
async function dropName(engine: Engine, name: string): Promise<void> {
  await engine
    .json({ method: 'DELETE', path: `/images/${encodeURIComponent(name)}` }, nothing)
    .catch(ignored('docker', 'remove an old image name'))
}

/** Matches the names of images that a stack has built: they end in a digest (see {@link StackBuilds}). */
const builtName = /:[0-9a-f]{12}$/

/**
 * Removes the names of images that Compose has built for a stack, unless a kept release uses them. Images in use are
 * kept.
 */
export async function dropBuilds(
  engine: Engine,
  stack: string,
  kept: readonly StackModel[],
): Promise<void> {
  const used = new Set(
    kept.flatMap(({ services }) => Object.values(services).map(({ image = '' }) => image)),
  )
  const names = (await listImages(engine, { filters: filtersOf(stack) })).flatMap(
    ({ RepoTags }) => RepoTags ?? [],
  )
  const isOld = (name: string): boolean =>
    builtName.test(name) && !name.startsWith('fleet-release/') && !used.has(name)
  for (const name of names.filter(isOld)) await dropName(engine, name)
}

/** Tags the images of a release with the names that its model uses. Needs no registry. */
export async function restoreImageNames(
  engine: Engine,
  model: StackModel,
  { images }: Pick<Release, 'images'>,
): Promise<void> {
  for (const [service, id] of Object.entries(images)) {
    const definition = model.services[service]
    if (definition === undefined) continue
    const name = imageOf(model.name, service, definition)
    if (name.includes('@')) continue // the digest already identifies the image
    const isTagged = /:[^/]+$/.test(name)
    await tagImage(engine, id, isTagged ? name : `${name}:latest`)
  }
}
