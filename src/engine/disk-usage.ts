import { flag, listOrNull, number, object, optional, text, withDefault } from './answer.ts'
import { type ContainerSummary, readContainer } from './containers.ts'
import type { Engine } from './engine.ts'
import { type ImageSummary, imageFields } from './images.ts'

type MeasuredImage = ImageSummary & { readonly Containers: number; readonly SharedSize: number }

interface Volume {
  readonly Name: string
  readonly UsageData?: { readonly Size: number; readonly RefCount: number } | undefined
}

interface BuildRecord {
  readonly Size: number
  readonly InUse: boolean
  readonly Shared: boolean
}

/** The disk usage of an engine (SystemDataUsage). Sizes that the engine did not measure are -1 or absent. */
export interface DiskUsage {
  readonly LayersSize: number
  readonly Images: readonly MeasuredImage[]
  readonly Containers: readonly ContainerSummary[]
  readonly Volumes: readonly Volume[]
  readonly BuildCache: readonly BuildRecord[]
}

const readUsage = object<DiskUsage>({
  LayersSize: withDefault(number, 0),
  Images: listOrNull(
    object<MeasuredImage>({ ...imageFields, Containers: number, SharedSize: number }),
  ),
  Containers: listOrNull(readContainer),
  Volumes: listOrNull(
    object<Volume>({
      Name: text,
      UsageData: optional(
        object<NonNullable<Volume['UsageData']>>({ Size: number, RefCount: number }),
      ),
    }),
  ),
  BuildCache: listOrNull(object<BuildRecord>({ Size: number, InUse: flag, Shared: flag })),
})

/** The disk usage of one kind of object, in bytes. */
export interface DiskUsageRow {
  readonly kind: 'images' | 'containers' | 'volumes' | 'build cache'
  readonly total: number
  /** The number of objects in use. */
  readonly active: number
  readonly size: number
  /** The number of bytes that removing all unused objects would free. */
  readonly reclaimable: number
}

/** The time limit for measuring, in milliseconds: an engine with a lot of data needs minutes. */
export const measuringMs = 600_000

/** Reads the disk usage of an engine in detail. Measuring may take seconds. */
export const readDiskUsage = (engine: Engine, signal?: AbortSignal): Promise<DiskUsage> =>
  engine.json(
    { path: '/system/df', idleTimeoutMs: measuringMs, ...(signal && { signal }) },
    readUsage,
  )

/** Summarizes the disk usage by the rules of `docker system df`. */
export const summarizeDiskUsage = (usage: DiskUsage): DiskUsageRow[] => [
  imagesRow(usage),
  containersRow(usage.Containers),
  volumesRow(usage.Volumes),
  buildCacheRow(usage.BuildCache),
]

function imagesRow({ Images, LayersSize }: DiskUsage): DiskUsageRow {
  const active = Images.filter(({ Containers }) => Containers > 0)
  const used = total(active, ({ Size, SharedSize }) => Size - Math.max(SharedSize, 0))
  return {
    kind: 'images',
    total: Images.length,
    active: active.length,
    size: LayersSize,
    reclaimable: LayersSize - used,
  }
}

function containersRow(containers: readonly ContainerSummary[]): DiskUsageRow {
  const idle = containers.filter(({ State }) => !/running|paused|restarting/.test(State))
  return {
    kind: 'containers',
    total: containers.length,
    active: containers.length - idle.length,
    size: total(containers, ({ SizeRw }) => SizeRw),
    reclaimable: total(idle, ({ SizeRw }) => SizeRw),
  }
}

function volumesRow(volumes: DiskUsage['Volumes']): DiskUsageRow {
  const idle = volumes.filter(({ UsageData }) => (UsageData?.RefCount ?? 0) <= 0)
  return {
    kind: 'volumes',
    total: volumes.length,
    active: volumes.length - idle.length,
    size: total(volumes, ({ UsageData }) => UsageData?.Size),
    reclaimable: total(idle, ({ UsageData }) => UsageData?.Size),
  }
}

function buildCacheRow(records: DiskUsage['BuildCache']): DiskUsageRow {
  const own = records.filter(({ Shared }) => !Shared)
  return {
    kind: 'build cache',
    total: records.length,
    active: records.filter(({ InUse }) => InUse).length,
    size: total(own, ({ Size }) => Size),
    reclaimable: total(
      own.filter(({ InUse }) => !InUse),
      ({ Size }) => Size,
    ),
  }
}

/** Adds up sizes. Unknown sizes count as 0. */
const total = <T>(objects: readonly T[], size: (object: T) => number | undefined): number =>
  objects.reduce((sum, object) => sum + Math.max(size(object) ?? 0, 0), 0)
