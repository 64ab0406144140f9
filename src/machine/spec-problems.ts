import { isMachineName } from './name.ts'
import {
  type Profiles,
  chainFrom,
  maxChainLength,
  mergeEntry,
  mergeProfiles,
  listMachineNames,
  countingProfile,
} from './profiles.ts'
import type { InventoryFile, MachineEntry } from './schema.ts'
import { noProfile } from './unknown-name.ts'

/** A reason why the profiles and entries in a file do not describe valid machines. */
export interface SpecProblem {
  /** The path of the invalid value in the file. */
  readonly path: readonly string[]
  readonly message: string
}

/** Checks the `extends` key of a machine or a profile. */
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
    return [{ path: at, message: `${at.join('.')}: ${noProfile(extended, others)}` }]
  }
  const chain = chainFrom(profiles, extended)
  if (chain.length > maxChainLength) {
    const message = `${at.join('.')}: profiles extend each other more than ${maxChainLength} levels deep`
    return [{ path: at, message }]
  }
  if (section !== 'profiles' || !chain.includes(own)) return []
  const cycle = [own, ...chain.slice(0, chain.indexOf(own) + 1)].join(' extends ')
  return [{ path: at, message: `${at.join('.')}: profiles form a cycle: ${cycle}` }]
}

/** Checks the `count` key of a profile: the numbered names must not be too long, and there must be a driver. */
function findCountProblems(
  merged: Profiles,
  name: string,
  isImplied: boolean,
): readonly SpecProblem[] {
  const { count = 0, driver } = merged.get(name) ?? {}
  const path = ['profiles', name, 'count']
  if (count > 0 && !isMachineName(`${name}-${count}`)) {
    return [{ path, message: `${path.join('.')}: the machine name ${name}-${count} is too long` }]
  }
  if (!isImplied || driver !== undefined) return []
  return [
    {
      path,
      message: `${path.join('.')}: profiles.${name} has no driver: set one, or extend a profile that has one`,
    },
  ]
}

/**
 * The maximum number of entries in each section. For machines, this includes those that are declared by the counts of
 * profiles.
 */
const limits = {
  machines: 10_000,
  profiles: 1000,
  operators: 1000,
  stacks: 1000,
  swarms: 100,
} as const

/** Rejects sections that are so large that later checks would take a long time. */
function findSizeProblem(file: InventoryFile, profiles: Profiles): SpecProblem | undefined {
  for (const section of ['profiles', 'operators', 'stacks', 'swarms'] as const) {
    const count = Object.keys(file[section] ?? {}).length
    if (count <= limits[section]) continue
    const message = `${section}: ${count} entries; the maximum is ${limits[section]}`
    return { path: [section], message }
  }
  const written = Object.keys(file.machines ?? {})
  let total = written.filter((name) => countingProfile(profiles, name) === undefined).length
  if (total > limits.machines) return tooManyMachines(['machines'])
  for (const [name, { count = 0 }] of profiles) {
    total += count
    if (total > limits.machines) return tooManyMachines(['profiles', name, 'count'])
  }
  return undefined
}

const tooManyMachines = (path: readonly string[]): SpecProblem => ({
  path,
  message: `${path.join('.')}: more than ${limits.machines} machines, including those from profile counts`,
})

/** The maximum number of problems to search for: finding each of them requires a comparison with all names. */
const maxProblems = 100

/** Checks every `extends` key in a file. Returns at most about 100 problems. */
function findAllExtendsProblems(
  profiles: Profiles,
  machines: readonly (readonly [string, MachineEntry])[],
): readonly SpecProblem[] {
  const found: SpecProblem[] = []
  const sections = [['profiles', profiles] as const, ['machines', machines] as const]
  for (const [section, entries] of sections) {
    for (const [name, entry] of entries) {
      found.push(...findExtendsProblems(profiles, [section, name], entry))
      if (found.length >= maxProblems) return found
    }
  }
  return found
}

/** Finds missing profiles, cycles of profiles, machines without a driver, and sections with too many entries. */
export function findSpecProblems(file: InventoryFile): readonly SpecProblem[] {
  const profiles: Profiles = new Map(Object.entries(file.profiles ?? {}))
  const machines = Object.entries(file.machines ?? {})
  const size = findSizeProblem(file, profiles)
  if (size !== undefined) return [size]
  const extendsProblems = findAllExtendsProblems(profiles, machines)
  if (extendsProblems.length > 0) return extendsProblems
  const merged = mergeProfiles(profiles)
  const written = new Set(machines.map(([name]) => name))
  const implied = listMachineNames(profiles, [...written]).filter((name) => !written.has(name))
  const countedProfiles = new Set(implied.map((name) => name.slice(0, name.lastIndexOf('-'))))
  return [
    ...Array.from(profiles.keys()).flatMap((name) =>
      findCountProblems(merged, name, countedProfiles.has(name)),
    ),
    ...machines
      .filter(([, entry]) => mergeEntry(merged, entry).driver === undefined)
      .map(([name]): SpecProblem => {
        const path = ['machines', name, 'driver']
        return { path, message: `${path.join('.')}: missing (expected a string)` } // same wording as in describeIssue
      }),
  ]
}
