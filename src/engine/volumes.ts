import {
  type Read,
  listOrNull,
  nothing,
  object,
  optional,
  record,
  text,
  whole,
  withDefault,
} from './answer.ts'
import type { Filters } from './containers.ts'
import type { Engine } from './engine.ts'

/** A volume in a list (VolumeList). */
export interface VolumeSummary {
  readonly Name: string
  readonly Driver: string
  /** The directory of the volume on the host. */
  readonly Mountpoint: string
  /** RFC 3339; some drivers do not report it. */
  readonly CreatedAt?: string | undefined
  readonly Labels: Readonly<Record<string, string>>
  /** `local` or `global`. */
  readonly Scope: string
}

const readVolume: Read<VolumeSummary> = object<VolumeSummary>({
  Name: text,
  Driver: withDefault(text, ''),
  Mountpoint: withDefault(text, ''),
  CreatedAt: optional(text),
  Labels: withDefault(record(text), {}),
  Scope: withDefault(text, ''),
})

const readVolumes = object<{ readonly Volumes: readonly VolumeSummary[] }>({
  Volumes: listOrNull(readVolume),
})

/** Lists the volumes of an engine, sorted by name. */
export async function listVolumes(
  engine: Engine,
  { signal, ...query }: { readonly filters?: Filters; readonly signal?: AbortSignal } = {},
): Promise<readonly VolumeSummary[]> {
  const request = { path: '/volumes', query, ...(signal && { signal }) }
  const { Volumes } = await engine.json(request, readVolumes)
  return Volumes.toSorted((a, b) => (a.Name === b.Name ? 0 : a.Name < b.Name ? -1 : 1))
}

const volumePath = (name: string): string => `/volumes/${encodeURIComponent(name)}`

/** Inspects a volume (VolumeInspect). */
export const inspectVolume = (
  engine: Engine,
  name: string,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> =>
  engine.json({ path: volumePath(name), ...(signal && { signal }) }, whole({ Name: text }))

/** Removes a volume. With `force`, a missing volume is not an error. */
export const removeVolume = (
  engine: Engine,
  name: string,
  { force, signal }: { readonly force: boolean; readonly signal: AbortSignal },
): Promise<void> =>
  engine.json({ method: 'DELETE', path: volumePath(name), query: { force }, signal }, nothing)
