import type { z } from 'zod'
import { usesExistingHosts } from '../../../machine/machine.ts'
import {
  mergeEntry,
  mergeProfiles,
  listMachineNames,
  type Profiles,
} from '../../../machine/profiles.ts'
import type { InventoryFile, MachineEntry } from '../../../machine/schema.ts'

type Options = Readonly<Record<string, unknown>>

/** The options of a driver at one path in a file. */
export interface OptionsInFile {
  readonly path: readonly string[]
  readonly driver: string
  readonly own: Options
  /** Options from profiles and defaults. */
  readonly inherited: Options
  /** Whether the options belong to a machine, in which case all required options must be set or inherited. */
  readonly isComplete: boolean
}

/** Returns all options in a file, each with its inherited options. */
export function* optionsIn(file: InventoryFile): Generator<OptionsInFile> {
  const defaults = new Map(Object.entries(file.defaults ?? {}))
  for (const [driver, own] of defaults) {
    yield { path: ['defaults', driver], driver, own, inherited: {}, isComplete: false }
  }
  const profiles: Profiles = new Map(Object.entries(file.profiles ?? {}))
  const machines = file.machines ?? {}
  const merged = mergeProfiles(profiles)
  const placeOf = (
    path: readonly string[],
    entry: MachineEntry,
    isComplete: boolean,
  ): OptionsInFile | undefined => {
    const { options: own = {}, ...others } = entry
    const { driver, options } = mergeEntry(merged, others)
    if (driver === undefined) return undefined
    return { path, driver, own, inherited: { ...defaults.get(driver), ...options }, isComplete }
  }
  if (profiles.size > 0) {
    const written = Object.keys(machines)
    const implied = listMachineNames(profiles, written).filter(
      (name) => !Object.hasOwn(machines, name),
    )
    const counted = new Set(implied.map((name) => name.slice(0, name.lastIndexOf('-'))))
    for (const [name, { count: _count, ...profile }] of profiles) {
      const place = placeOf(['profiles', name, 'options'], profile, counted.has(name))
      if (place === undefined) continue
      yield usesExistingHosts(place.driver) ? { ...place, isComplete: false } : place
    }
  }
  for (const [name, entry] of Object.entries(machines)) {
    const place = placeOf(['machines', name, 'options'], entry, true)
    if (place !== undefined) yield place
  }
}

/** Returns the drivers whose options a file contains. */
export const driversIn = ({ defaults = {}, profiles, machines }: InventoryFile): string[] => {
  const written = [...Object.values(profiles ?? {}), ...Object.values(machines ?? {})]
  const drivers = written.flatMap(({ driver }) => driver ?? [])
  return [...new Set([...Object.keys(defaults), ...drivers])]
}

/** Returns the schema for options. All of its fields are optional unless `isComplete` is set. */
export const schemaFor = ({ isComplete }: OptionsInFile, options: z.ZodObject): z.ZodObject =>
  isComplete ? options : options.partial()
