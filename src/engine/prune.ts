import { UserError } from '../errors.ts'
import { type Read, listOrNull, number, object, optional, text, withDefault } from './answer.ts'
import { isOlder } from './api-version.ts'
import type { Filters } from './containers.ts'
import { measuringMs, readDiskUsage } from './disk-usage.ts'
import type { Engine } from './engine.ts'
import { readVersion } from './system.ts'
import { listVolumes, removeVolume } from './volumes.ts'

/** The kinds of objects that can be pruned. */
export type PruneKind = 'containers' | 'networks' | 'volumes' | 'images' | 'build cache'

/** The objects of one kind that were removed. */
export interface Pruned {
  readonly kind: PruneKind
  /** The names or IDs of the objects. */
  readonly removed: readonly string[]
  /** The number of bytes freed; 0 for kinds without data. */
  readonly reclaimed: number
}

/** Options for pruning objects of one kind. */
interface PruneOptions {
  /** Whether to also prune tagged images, named volumes, and the entire build cache. */
  readonly all?: boolean
  readonly filters?: Filters
  readonly signal: AbortSignal
}

type Prune = (engine: Engine, options: PruneOptions) => Promise<Pruned>

/** Parses `{ KEY: […], SpaceReclaimed: … }`. */
const readReport =
  (key: string, item: Read<readonly string[]>): Read<Omit<Pruned, 'kind'>> =>
  (value, at) => {
    const lists = object<Readonly<Record<string, readonly (readonly string[])[]>>>({
      [key]: listOrNull(item),
    })
    const sum = object<{ readonly SpaceReclaimed: number }>({
      SpaceReclaimed: withDefault(number, 0),
    })
    const { [key]: removed = [] } = lists(value, at)
    return { removed: removed.flat(), reclaimed: sum(value, at).SpaceReclaimed }
  }

const oneText: Read<readonly string[]> = (value, at) => [text(value, at)]

/** Parses the ID of an image that was removed, or a name that was removed from an image (ImageDeleteResponseItem). */
const readDeleted: Read<readonly string[]> = (value, at) => {
  const { Deleted, Untagged } = object<{
    readonly Deleted: string | undefined
    readonly Untagged: string | undefined
  }>({ Deleted: optional(text), Untagged: optional(text) })(value, at)
  return [Untagged, Deleted].filter((name) => name !== undefined)
}

/** Creates a function that prunes with one request. Removing a lot of data takes the engine minutes. */
const pruneBy =
  (
    kind: PruneKind,
    path: string,
    read: Read<Omit<Pruned, 'kind'>>,
    queryOf: (options: PruneOptions) => Readonly<Record<string, object | boolean>>,
  ): Prune =>
  async (engine, options) => ({
    kind,
    ...(await engine.json(
      {
        ...{ method: 'POST', path, query: queryOf(options), idleTimeoutMs: measuringMs },
        signal: options.signal,
      },
      read,
    )),
  })

/** The first API version in which pruning volumes keeps named volumes (Docker 23.0). */
const keepsNamed = '1.42'

/** Whether a volume is anonymous, that is, whether the engine generated its name. */
const isAnonymous = (name: string): boolean => /^[0-9a-f]{64}$/.test(name)

const pruneVolumesHere = pruneBy(
  'volumes',
  '/volumes/prune',
  readReport('VolumesDeleted', oneText),
  ({ filters }) => ({ filters: filters ?? {} }),
)

/**
 * Removes unused volumes: anonymous volumes, and, with `all`, also named volumes. Engines before 23.0 do not
 * distinguish them, so on those engines anonymous volumes are removed individually.
 */
const pruneVolumes: Prune = async (engine, options) => {
  const { all = false, filters = {}, signal } = options
  const { ApiVersion } = await readVersion(engine, signal)
  if (!isOlder(ApiVersion, keepsNamed)) {
    const named: Filters = all ? { ...filters, all: ['true'] } : filters
    return pruneVolumesHere(engine, { ...options, filters: named })
  }
  if (all) return pruneVolumesHere(engine, options)
  const unused = await listVolumes(engine, { filters: { ...filters, dangling: ['true'] }, signal })
  const names = unused.map(({ Name }) => Name).filter(isAnonymous)
  if (names.length === 0) return { kind: 'volumes', removed: [], reclaimed: 0 }
  const sizes = new Map(
    (await readDiskUsage(engine, signal)).Volumes.map(({ Name, UsageData }) => [
      Name,
      UsageData?.Size ?? 0,
    ]),
  )
  const removed: string[] = []
  for (const name of names) {
    try {
      await removeVolume(engine, name, { force: false, signal })
      removed.push(name)
    } catch (error) {
      if (!(error instanceof UserError) || error.kind !== 'failed') throw error // a container now uses the volume
    }
  }
  const reclaimed = removed.reduce((sum, name) => sum + Math.max(sizes.get(name) ?? 0, 0), 0)
  return { kind: 'volumes', removed, reclaimed }
}

/** The pruning function for each kind. */
export const prunes: Readonly<Record<PruneKind, Prune>> = {
  containers: pruneBy(
    'containers',
    '/containers/prune',
    readReport('ContainersDeleted', oneText),
    ({ filters = {} }) => ({ filters }),
  ),
  networks: pruneBy(
    'networks',
    '/networks/prune',
    readReport('NetworksDeleted', oneText),
    ({ filters = {} }) => ({ filters }),
  ),
  volumes: pruneVolumes,
  images: pruneBy(
    'images',
    '/images/prune',
    readReport('ImagesDeleted', readDeleted),
    ({ filters = {}, all = false }) => ({ filters: { ...filters, dangling: [String(!all)] } }),
  ),
  'build cache': pruneBy(
    'build cache',
    '/build/prune',
    readReport('CachesDeleted', oneText),
    ({ filters = {}, all = false }) => ({ filters, all }),
  ),
}
