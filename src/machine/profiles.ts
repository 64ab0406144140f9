import type { Machine, MachineEntry, ProfileEntry } from './machine.ts'
import type { MachineName } from './name.ts'

/** What machines have in common, by name, each as it is written. */
export type Profiles = ReadonlyMap<string, ProfileEntry>

/** A profile's wish for numbered machines. */
export interface Counted {
  readonly profile: string
  readonly count: number
}

/** Names are those of people: one could be `constructor`. */
type Layer = Readonly<ProfileEntry & MachineEntry>

/**
 * One layer over another: labels and options key by key, all else replaced. Options are a driver's, so a layer that names
 * another driver takes over none. A count is of the one profile that has it.
 */
function layOver({ count: _count, ...below }: Layer, above: Layer): Layer {
  const { driver = below.driver } = above
  const isOther = below.driver !== undefined && below.driver !== driver
  const labels = below.labels && { ...below.labels, ...above.labels }
  const options = below.options && !isOther && { ...below.options, ...above.options }
  const { options: _options, ...shared } = below
  return { ...shared, ...above, ...(labels && { labels }), ...(options && { options }) }
}

/** So many profiles may extend each other in a row. */
export const longestChain = 16

/**
 * The profiles from `name` on that extend each other, the nearest first; each once where they go in a circle, and one more than
 * {@link longestChain} where there are too many.
 */
export function chainFrom(profiles: Profiles, name: string | undefined): readonly string[] {
  const chain: string[] = []
  for (let next = name; next !== undefined && profiles.has(next) && !chain.includes(next);) {
    chain.push(next)
    if (chain.length > longestChain) break
    next = profiles.get(next)?.extends
  }
  return chain
}

/** The profiles, each with what it extends laid under it. */
export const mergeProfiles = (profiles: Profiles): Profiles =>
  new Map(
    Array.from(profiles.keys(), (name) => {
      const layers = chainFrom(profiles, name).map((each) => profiles.get(each) ?? {})
      return [name, layers.reduceRight((below, above) => layOver(below, above))]
    }),
  )

/** What holds for an entry: it, over the profile that it extends. `merged` are profiles of {@link mergeProfiles}. */
export function mergeEntry(merged: Profiles, entry: MachineEntry): MachineEntry {
  const below = entry.extends === undefined ? undefined : merged.get(entry.extends)
  return below === undefined ? entry : layOver(below, entry)
}

/** The machine of an entry. `driver` is empty where nothing says it, which the check of an inventory refuses. */
export function machineOf(merged: Profiles, name: MachineName, entry: MachineEntry): Machine {
  const spec = mergeEntry(merged, entry)
  return { ...spec, driver: spec.driver ?? '', name }
}

/** The wish that a name with a number belongs to, by the profile of the name before the number. */
function countedBy(profiles: Profiles, name: string): (Counted & { number: number }) | undefined {
  const [, profile = '', digits] = /^(.+)-([1-9]\d{0,8})$/.exec(name) ?? []
  const count = profiles.get(profile)?.count
  return count === undefined ? undefined : { profile, count, number: Number(digits) }
}

/** What wants a machine that has no entry; undefined where nothing does. */
export function wantedBy(
  profiles: Profiles,
  name: string,
): (Counted & { readonly number: number }) | undefined {
  const counted = countedBy(profiles, name)
  return counted !== undefined && counted.number <= counted.count ? counted : undefined
}

/** The wish that a machine is too many for: one that extends a profile which wants fewer. */
export function surplusTo(
  profiles: Profiles,
  { name, extends: extended }: Pick<Machine, 'name' | 'extends'>,
): Counted | undefined {
  const counted = countedBy(profiles, name)
  if (counted === undefined || counted.number <= counted.count) return undefined
  return chainFrom(profiles, extended).includes(counted.profile) ? counted : undefined
}

/** The names of an inventory's machines: those written, and after each the counted ones that have no entry. */
export function namesWanted(profiles: Profiles, written: readonly string[]): readonly string[] {
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
