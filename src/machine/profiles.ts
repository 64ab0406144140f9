import type { Machine, MachineEntry, ProfileEntry } from './machine.ts'
import type { EngineSpec } from './engine-spec.ts'
import type { MachineName } from './name.ts'

/** The profiles, keyed by name, each as written in the file. */
export type Profiles = ReadonlyMap<string, ProfileEntry>

/** A profile with a `count`: it declares machines NAME-1 to NAME-COUNT. */
export interface MachineCount {
  readonly profile: string
  readonly count: number
}

type Layer = Readonly<ProfileEntry & MachineEntry>

/**
 * Merges the engine settings of one layer over those of the layer below it. Settings are merged key by key. Version and
 * channel belong together, so a layer that sets either of them inherits neither.
 */
export function mergeEngine(
  below: MachineEntry['engine'],
  above: MachineEntry['engine'],
): MachineEntry['engine'] {
  if (above === undefined) return below
  if (typeof below !== 'object' || above === 'none') return above
  const { version, channel, repository, ...settings } = below
  const inheritsVersion = above.version === undefined && above.channel === undefined
  const inherited: EngineSpec = {
    ...(inheritsVersion && version !== undefined && { version }),
    ...(inheritsVersion && channel !== undefined && { channel }),
    ...(above.channel !== 'distribution' && repository !== undefined && { repository }),
  }
  const merged = (['config', 'environment', 'registries'] as const).flatMap((key) =>
    settings[key] && above[key] ? [[key, { ...settings[key], ...above[key] }]] : [],
  )
  return { ...inherited, ...settings, ...above, ...(Object.fromEntries(merged) as EngineSpec) }
}

/**
 * Merges one layer over another. Labels, options and engine settings are merged key by key, and all other keys are
 * replaced as a whole. Options belong to a driver, so a layer with a different driver inherits none. `count` is not
 * inherited.
 */
function mergeLayers({ count: _count, ...below }: Layer, above: Layer): Layer {
  const { driver = below.driver } = above
  const isOther = below.driver !== undefined && below.driver !== driver
  const labels = below.labels && { ...below.labels, ...above.labels }
  const options = below.options && !isOther && { ...below.options, ...above.options }
  const { options: _options, ...shared } = below
  const engine = mergeEngine(below.engine, above.engine)
  return {
    ...shared,
    ...above,
    ...(labels && { labels }),
    ...(options && { options }),
    ...(engine !== undefined && { engine }),
  }
}

/** The maximum length of a chain of profiles. */
export const maxChainLength = 16

/**
 * Returns the chain of profiles that starts at `name`, in the order in which they extend each other. In a cycle, each
 * profile appears only once. If a chain is too long, the result has one more profile than {@link maxChainLength}.
 */
export function chainFrom(profiles: Profiles, name: string | undefined): readonly string[] {
  const chain: string[] = []
  for (let next = name; next !== undefined && profiles.has(next) && !chain.includes(next);) {
    chain.push(next)
    if (chain.length > maxChainLength) break
    next = profiles.get(next)?.extends
  }
  return chain
}

/** Returns the profiles, each merged over the profiles that it extends. */
export const mergeProfiles = (profiles: Profiles): Profiles =>
  new Map(
    Array.from(profiles.keys(), (name) => {
      const layers = chainFrom(profiles, name).map((each) => profiles.get(each) ?? {})
      return [name, layers.reduceRight((below, above) => mergeLayers(below, above))]
    }),
  )

/** Returns an entry merged over its profile. `merged` is the result of {@link mergeProfiles}. */
export function mergeEntry(merged: Profiles, entry: MachineEntry): MachineEntry {
  const below = entry.extends === undefined ? undefined : merged.get(entry.extends)
  return below === undefined ? entry : mergeLayers(below, entry)
}

/**
 * Returns the machine of an entry. `driver` is empty if neither the entry nor a profile sets it; validation rejects
 * such an entry.
 */
export function machineOf(merged: Profiles, name: MachineName, entry: MachineEntry): Machine {
  const spec = mergeEntry(merged, entry)
  return { ...spec, driver: spec.driver ?? '', name }
}

/** Returns the profile with a count to which a numbered name belongs, such as `worker` for `worker-3`. */
function countedBy(
  profiles: Profiles,
  name: string,
): (MachineCount & { number: number }) | undefined {
  const [, profile = '', digits] = /^(.+)-([1-9]\d{0,8})$/.exec(name) ?? []
  const count = profiles.get(profile)?.count
  return count === undefined ? undefined : { profile, count, number: Number(digits) }
}

/** Returns the profile whose count declares a machine, if there is one. */
export function countingProfile(
  profiles: Profiles,
  name: string,
): (MachineCount & { readonly number: number }) | undefined {
  const counted = countedBy(profiles, name)
  return counted !== undefined && counted.number <= counted.count ? counted : undefined
}

/** Returns the profile whose count is lower than a machine's number, if the machine extends that profile. */
export function exceededCount(
  profiles: Profiles,
  { name, extends: extended }: Pick<Machine, 'name' | 'extends'>,
): MachineCount | undefined {
  const counted = countedBy(profiles, name)
  if (counted === undefined || counted.number <= counted.count) return undefined
  return chainFrom(profiles, extended).includes(counted.profile) ? counted : undefined
}

/**
 * Returns all machine names in an inventory: the names that have an entry, each followed by the numbered names directly
 * after it that have none; and finally, the numbered names that come before the first entry of their profile.
 */
export function listMachineNames(
  profiles: Profiles,
  written: readonly string[],
): readonly string[] {
  if (profiles.size === 0) return written
  const known = new Set(written)
  const following = new Map<string, string[]>()
  const first: string[] = []
  for (const [profile, { count = 0 }] of profiles) {
    let group = first
    for (let number = 1; number <= count; number++) {
      const name = `${profile}-${number}`
      if (known.has(name)) following.set(name, (group = []))
      else group.push(name)
    }
  }
  if (following.size + first.length === 0) return written
  return [...written.flatMap((name) => [name, ...(following.get(name) ?? [])]), ...first]
}
