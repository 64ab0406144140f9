import { isMachineName } from './name.ts'
import { suggest } from './nearest.ts'
import {
  type Profiles,
  chainFrom,
  longestChain,
  mergeEntry,
  mergeProfiles,
  namesWanted,
  wantedBy,
} from './profiles.ts'
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
  if (chain.length > longestChain) {
    const message = `${at.join('.')}: more than ${longestChain} profiles that extend each other`
    return [{ path: at, message }]
  }
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

/** So many of each a file may have; of machines, with those that profiles count. */
const most = { machines: 10_000, profiles: 1000, operators: 1000 } as const

/** More than what this computer could go through in moments. */
function findSizeProblem(file: InventoryFile, profiles: Profiles): SpecProblem | undefined {
  for (const section of ['profiles', 'operators'] as const) {
    const count = Object.keys(file[section] ?? {}).length
    if (count <= most[section]) continue
    const message = `${section}: ${count} of them; a file can have at most ${most[section]}`
    return { path: [section], message }
  }
  const written = Object.keys(file.machines ?? {})
  let total = written.filter((name) => wantedBy(profiles, name) === undefined).length
  if (total > most.machines) return tooManyMachines(['machines'], total)
  for (const [name, { count = 0 }] of profiles) {
    total += count
    if (total > most.machines) return tooManyMachines(['profiles', name, 'count'], total)
  }
  return undefined
}

const tooManyMachines = (path: readonly string[], total: number): SpecProblem => ({
  path,
  message: `${path.join('.')}: ${total} machines up to here; a file can have at most ${most.machines}, with those that profiles count`,
})

/** So many problems are looked for: each costs a look at all names. */
const mostFound = 100

/** What is wrong with all that is extended; the first hundred of it. */
function findAllExtendsProblems(
  profiles: Profiles,
  machines: readonly (readonly [string, MachineEntry])[],
): readonly SpecProblem[] {
  const found: SpecProblem[] = []
  const sections = [['profiles', profiles] as const, ['machines', machines] as const]
  for (const [section, entries] of sections) {
    for (const [name, entry] of entries) {
      found.push(...findExtendsProblems(profiles, [section, name], entry))
      if (found.length >= mostFound) return found
    }
  }
  return found
}

/** Finds profiles that are not there or go in a circle, machines without a driver, and more machines than there may be. */
export function findSpecProblems(file: InventoryFile): readonly SpecProblem[] {
  const profiles: Profiles = new Map(Object.entries(file.profiles ?? {}))
  const machines = Object.entries(file.machines ?? {})
  const size = findSizeProblem(file, profiles)
  if (size !== undefined) return [size]
  const wrong = findAllExtendsProblems(profiles, machines)
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
