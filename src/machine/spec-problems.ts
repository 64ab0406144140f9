import { isMachineName } from './name.ts'
import { suggest } from './nearest.ts'
import { chainFrom, mergeEntry, mergeProfiles, namesWanted, type Profiles } from './profiles.ts'
import type { InventoryFile, MachineEntry } from './schema.ts'

/** Something that profiles and entries do not make a machine with. */
export interface SpecProblem {
  /** Where in the file. */
  readonly path: readonly string[]
  readonly message: string
}

/** What is wrong with the profile that an entry, of a machine or a profile, names. */
function findExtendsProblems(
  profiles: Profiles,
  path: readonly [section: string, name: string],
  { extends: extended }: MachineEntry,
): readonly SpecProblem[] {
  if (extended === undefined) return []
  const at = [...path, 'extends']
  const [section, own] = path
  if (!profiles.has(extended)) {
    const others = [...profiles.keys()].filter((name) => section !== 'profiles' || name !== own)
    const meant = suggest(extended, others)
    return [{ path: at, message: `${at.join('.')}: there is no profile ${extended}${meant}` }]
  }
  const chain = chainFrom(profiles, extended)
  if (section !== 'profiles' || !chain.includes(own)) return []
  const circle = [own, ...chain.slice(0, chain.indexOf(own) + 1)].join(' extends ')
  return [{ path: at, message: `${at.join('.')}: this goes in a circle: ${circle}` }]
}

/** Profiles that cannot number machines: no driver, or a name too long for a number behind it. */
function findCountProblems(
  merged: Profiles,
  name: string,
  isImplied: boolean,
): readonly SpecProblem[] {
  const { count = 0, driver } = merged.get(name) ?? {}
  const path = ['profiles', name, 'count']
  if (count > 0 && !isMachineName(`${name}-${count}`)) {
    return [{ path, message: `${path.join('.')}: ${name}-${count} is too long for a name` }]
  }
  if (!isImplied || driver !== undefined) return []
  return [
    {
      path,
      message: `${path.join('.')}: profiles.${name} needs a driver, or one to extend that has`,
    },
  ]
}

/** Finds profiles that are not there or go in a circle, and machines without a driver. */
export function findSpecProblems(file: InventoryFile): readonly SpecProblem[] {
  const profiles: Profiles = new Map(Object.entries(file.profiles ?? {}))
  const machines = Object.entries(file.machines ?? {})
  const wrong = [
    ...[...profiles].flatMap(([name, profile]) =>
      findExtendsProblems(profiles, ['profiles', name], profile),
    ),
    ...machines.flatMap(([name, entry]) =>
      findExtendsProblems(profiles, ['machines', name], entry),
    ),
  ]
  if (wrong.length > 0) return wrong
  const merged = mergeProfiles(profiles)
  const written = new Set(machines.map(([name]) => name))
  const implied = namesWanted(profiles, [...written]).filter((name) => !written.has(name))
  const lacking = new Set(implied.map((name) => name.slice(0, name.lastIndexOf('-'))))
  return [
    ...Array.from(profiles.keys()).flatMap((name) =>
      findCountProblems(merged, name, lacking.has(name)),
    ),
    ...machines
      .filter(([, entry]) => mergeEntry(merged, entry).driver === undefined)
      .map(([name]): SpecProblem => {
        const path = ['machines', name, 'driver']
        return { path, message: `${path.join('.')}: missing: expected a string` }
      }),
  ]
}
