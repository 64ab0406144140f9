import { createHash } from 'node:crypto'
import { UserError } from '../../../errors.ts'
import { findLocalPaths, localFileOf, mapPaths } from '../../compose/project-model.ts'
import { type LocalEntry, type LocalFiles, readLocalFiles } from '../../compose/read-local-files.ts'
import type { Root } from '../../compose/rooted-paths.ts'
import { storedPath } from '../stack-files.ts'
import { type StackModel, type StackService, imagePart } from '../stack-model.ts'

/** The images that a stack builds. */
export interface StackBuilds {
  /**
   * The image name of each service with `build`, and of each service that names such an image. The name contains a
   * digest of everything from which the image is built: a host that has the image needs no build, and a changed file
   * changes the stack.
   */
  readonly images: ReadonlyMap<string, string>
  /** The local files of the builds, keyed by path below the root of a directory on a host. */
  readonly files: LocalFiles
  /** The local paths of the Dockerfiles. */
  readonly dockerfiles: readonly string[]
  /** Returns the model of the builds. `pathOf` returns the path of a local file where Compose runs. */
  modelFor(pathOf: (local: string) => string): StackModel
}

type Build = NonNullable<StackService['build']>

/** The directories to which the paths of a resolved model refer. */
interface Places {
  /** The directory below which Compose has resolved the model. */
  readonly root: Root
  /** The directory of the inventory. */
  readonly folder: string
  /** The directory of the Compose file. */
  readonly projectFolder: string
}

/** The number of digits of a digest in an image name. */
const shownDigits = 12

const digestOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex')

/** Returns the name of an image without its tag and digest. */
const repositoryOf = (image: string): string => image.replace(/@.*$/, '').replace(/:[^:/]*$/, '')

/** The services whose images a build uses: `additional_contexts: { base: service:base }`. */
const usedBy = ({ additional_contexts = {} }: Build): readonly string[] =>
  Object.values(additional_contexts).flatMap((value) => /^service:(.+)$/.exec(value)?.[1] ?? [])

/**
 * Returns the properties to compare for a file. They include only the part of its mode that git keeps, because the rest
 * may differ between two users' clones.
 */
function contentOf(entry: LocalEntry): readonly unknown[] {
  if (entry.type === 'file') return ['file', (entry.mode & 0o100) !== 0, entry.digest]
  return entry.type === 'folder' ? ['folder'] : ['link', entry.target]
}

/** Reduces the model to the services that are built, with the names of their images. */
function buildsOnly(
  { name, services, secrets }: StackModel,
  images: ReadonlyMap<string, string>,
): StackModel {
  const built = Object.entries(services).flatMap(([key, { build, platform }]) => {
    const image = images.get(key)
    if (build === undefined || image === undefined) return []
    return [[key, { build, image, ...(platform !== undefined && { platform }) }] as const]
  })
  return { name, services: Object.fromEntries(built), ...(secrets !== undefined && { secrets }) }
}

/** Replaces the local paths of a model with the results of `pathOf`. */
const mapLocal = (
  model: StackModel,
  { root, projectFolder }: Places,
  pathOf: (local: string) => string,
): StackModel =>
  mapPaths(model, (path) => {
    const local = localFileOf(root, projectFolder, path)
    return local === undefined ? path : pathOf(local)
  }) as StackModel

/** Returns the items of a list such as `cache_to: ['type=local,dest=/x']` as JSON; an empty list for other values. */
const textsOf = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? (value as unknown[]) : []).map((item) => JSON.stringify(item))

/** Describes how a build would access this computer beyond the files that fleet knows; undefined if it would not. */
function localUse(build: Build): string | undefined {
  const { ssh, cache_from, cache_to } = build as Readonly<Record<string, unknown>>
  if (Array.isArray(ssh) && ssh.length > 0) return 'ssh and would have access to your SSH keys'
  const caches = [...textsOf(cache_from), ...textsOf(cache_to)]
  if (caches.some((text) => text.includes('type=local'))) {
    return 'a local cache, which would read or write directories on this computer'
  }
  const isLayout = Object.values(build.additional_contexts ?? {}).some((value) =>
    value.startsWith('oci-layout:'),
  )
  return isLayout
    ? 'an oci-layout context, which would read a directory on this computer'
    : undefined
}

/** Throws kind `unsupported` for builds that would access more of this computer than their contexts. */
function checkBuilds({ name: stack, services }: StackModel): void {
  for (const [name, { build }] of Object.entries(services)) {
    const why = build === undefined ? undefined : localUse(build)
    if (why === undefined) continue
    throw new UserError(
      'unsupported',
      `stack ${stack}: the build for service ${name} uses ${why}`,
      {
        hint: 'build the image elsewhere and set "image" to its name',
      },
    )
  }
}

/**
 * Finds the images that a stack builds, and reads the files from which they are built. Throws kind `unsupported` for
 * builds that would access more of this computer than their contexts.
 */
export async function findBuilds(model: StackModel, places: Places): Promise<StackBuilds> {
  checkBuilds(model)
  const { root, folder, projectFolder } = places
  const stored = mapLocal(model, places, (local) => storedPath(folder, local))
  const files = new Map<string, LocalEntry>()
  const dockerfiles = new Set<string>()
  const digests = new Map<string, string>()
  for (const [name, { build }] of Object.entries(model.services)) {
    if (build === undefined) continue
    const only = { name: model.name, services: { [name]: { build } } }
    const { contexts } = findLocalPaths(only, { root, folder: projectFolder })
    const { files: found } = await readLocalFiles({ contexts })
    const content = [...found.values()].map((entry) => {
      const path = storedPath(folder, entry.file)
      files.set(path, entry)
      return [path, ...contentOf(entry)] as const
    })
    for (const { dockerfile } of contexts) if (dockerfile !== undefined) dockerfiles.add(dockerfile)
    const sorted = content.toSorted(([one], [other]) => (one < other ? -1 : 1))
    const definition = stored.services[name]
    digests.set(name, digestOf([definition?.build, definition?.['platform'] ?? null, sorted]))
  }
  const digestsFor = (name: string, path: readonly string[] = []): readonly string[] => {
    const { [name]: service } = model.services
    if (service?.build === undefined || path.includes(name)) return []
    const used = usedBy(service.build).flatMap((other) => digestsFor(other, [...path, name]))
    return [digests.get(name) ?? '', ...used]
  }
  const images = new Map(
    [...digests.keys()].map((name) => {
      const own = model.services[name]?.image
      const repository = own === undefined ? imagePart(`${model.name}-${name}`) : repositoryOf(own)
      return [name, `${repository}:${digestOf(digestsFor(name)).slice(0, shownDigits)}`] as const
    }),
  )
  const byName = new Map(
    [...images].flatMap(([name, image]) => {
      const own = model.services[name]?.image
      return own === undefined ? [] : [[own, image] as const]
    }),
  )
  for (const [name, { image = '' }] of Object.entries(model.services)) {
    const built = byName.get(image)
    if (!images.has(name) && built !== undefined) images.set(name, built)
  }
  return {
    ...{ images, files, dockerfiles: [...dockerfiles] },
    modelFor: (pathOf) => mapLocal(buildsOnly(model, images), places, pathOf),
  }
}
