import { UserError } from '../../errors.ts'
import {
  type Machine,
  type MachineEntry,
  noHostYet,
  usesExistingHosts,
} from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Operators } from '../../machine/operators.ts'
import {
  type Profiles,
  machineOf,
  mergeProfiles,
  listMachineNames,
  countingProfile,
} from '../../machine/profiles.ts'
import type {
  InventoryFile,
  OperatorEntry,
  ProfileEntry,
  SwarmEntry,
} from '../../machine/schema.ts'
import { type Stacks, stackOf } from '../../machine/stacks.ts'
import type { Swarms } from '../../machine/swarms.ts'
import { noProfile, unknownMachine } from '../../machine/unknown-name.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** The contents of an inventory at one point in time. */
export interface Inventory {
  /** Identifies this fleet in tags at providers. */
  readonly id: string
  /** Shared driver options, keyed by driver. */
  readonly defaults: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly operators: Operators
  /** Whether changes are committed to git. */
  readonly audit?: 'git' | undefined
  readonly profiles: Profiles
  readonly stacks: Stacks
  readonly swarms: Swarms
  /** The entries of the file, in its order. */
  readonly entries: ReadonlyMap<MachineName, MachineEntry>
  /**
   * All machines, in the order of the file: entries merged with their profiles, and machines that a
   * profile's `count` adds without an entry.
   */
  readonly machines: ReadonlyMap<MachineName, Machine>
}

/** A validated inventory file. */
export interface ValidInventory {
  readonly file: InventoryFile
  /**
   * The names of the machines in the order of the text. An object would list names that look like
   * numbers first.
   */
  readonly names: readonly string[]
}

/** Returns the inventory in a validated file. */
export function inventoryOf({ file, names }: ValidInventory): Inventory {
  const { id, defaults = {}, operators = {}, stacks = {}, swarms = {}, audit } = file
  const written = file.machines ?? {}
  const profiles: Profiles = new Map(Object.entries(file.profiles ?? {}))
  const merged = mergeProfiles(profiles)
  const entries = new Map<MachineName, MachineEntry>()
  for (const name of names) {
    const entry = Object.hasOwn(written, name) ? written[name as MachineName] : undefined
    if (entry !== undefined) entries.set(name as MachineName, entry)
  }
  const machines = new Map<MachineName, Machine>()
  for (const text of listMachineNames(profiles, [...entries.keys()])) {
    const name = text as MachineName
    const entry = entries.get(name) ?? { extends: countingProfile(profiles, name)?.profile }
    machines.set(name, machineOf(merged, name, entry))
  }
  return {
    id,
    defaults,
    operators: new Map(Object.entries(operators)),
    ...(audit !== undefined && { audit }),
    profiles,
    stacks: new Map(Object.entries(stacks).map(([name, entry]) => [name, stackOf(name, entry)])),
    swarms: new Map(Object.entries(swarms).map(([name, entry]) => [name, { name, ...entry }])),
    entries,
    machines,
  }
}

/** Stores an inventory. Safe for concurrent use by many processes. */
export interface InventoryStore {
  /** The file's path, for messages. */
  readonly location: string
  /**
   * Reads the current inventory. Throws kind `inventory`, with the position and a hint, if the file
   * cannot be read.
   */
  read(): Promise<Inventory>
  /**
   * Replaces the entry of a machine with the result of `change`, which receives the newest entry under the lock;
   * `undefined` means no entry. Nothing is written if `change` throws or changes nothing. Durable once it resolves.
   * Throws kind `locked` if other processes hold the lock for too long.
   */
  update(
    name: MachineName,
    change: (entry: MachineEntry | undefined, inventory: Inventory) => MachineEntry | undefined,
  ): Promise<void>
  /**
   * Like `update`, for several machines in one write: all entries change, or none. `change` receives the inventory with
   * the preceding changes, and cannot remove an entry.
   */
  updateAll(
    names: readonly MachineName[],
    change: (name: MachineName, inventory: Inventory) => MachineEntry | undefined,
  ): Promise<void>
  /** Like `update`, for an operator. Throws kind `usage` for an invalid entry. */
  updateOperator(
    name: string,
    change: (entry: OperatorEntry | undefined, inventory: Inventory) => OperatorEntry | undefined,
  ): Promise<void>
  /** Like `updateOperator`, for a profile. */
  updateProfile(
    name: string,
    change: (entry: ProfileEntry | undefined, inventory: Inventory) => ProfileEntry | undefined,
  ): Promise<void>
  /** Like `updateOperator`, for a swarm. */
  updateSwarm(
    name: string,
    change: (entry: SwarmEntry | undefined, inventory: Inventory) => SwarmEntry | undefined,
  ): Promise<void>
  /**
   * Renames a machine and updates `via` in machines that use it as a jump host, in one write. Throws kind
   * `unknown-machine`, or `usage` if the new name is taken.
   */
  rename(from: MachineName, to: MachineName): Promise<void>
}

/** Checks that a machine can be renamed. Throws as `rename` does. */
export function checkRename(
  { machines, entries }: Inventory,
  from: MachineName,
  to: MachineName,
): void {
  const machine = machines.get(from)
  if (machine === undefined) throw unknownMachine(from, [...machines.keys()])
  if (!entries.has(from)) {
    const isExisting = usesExistingHosts(machine.driver)
    throw new UserError('usage', `${from} ${noHostYet(machine)}; nothing was changed`, {
      machine: from,
      hint: isExisting
        ? `to adopt the host under the new name: fleet adopt USER@HOST --name ${to}`
        : `to create the machine under the new name: fleet create ${to} --extends ${shellQuote(machine.extends ?? '')}`,
    })
  }
  if (!entries.has(to)) return
  throw new UserError('usage', `machine ${to} already exists; nothing was changed`, {
    machine: from,
    hint: 'choose another name',
  })
}

/**
 * Returns the entry of a machine, or its initial entry if a profile's `count` includes it; `undefined` for an unknown
 * name.
 */
export const entryFor = (
  { entries, profiles }: Pick<Inventory, 'entries' | 'profiles'>,
  name: MachineName,
): MachineEntry | undefined => {
  const wanted = countingProfile(profiles, name)
  return entries.get(name) ?? (wanted && { extends: wanted.profile })
}

/**
 * Throws kind `usage`, with the nearest name, if an entry extends a profile that does not exist.
 */
export function checkExtends(
  { profiles }: Pick<Inventory, 'profiles'>,
  machine: MachineName,
  extended: string | undefined,
): void {
  if (extended === undefined || profiles.has(extended)) return
  throw new UserError('usage', noProfile(extended, profiles.keys()), { machine })
}

/** Merges an entry with the profiles of an inventory. */
export const machineWith = (
  { profiles }: Pick<Inventory, 'profiles'>,
  name: MachineName,
  entry: MachineEntry,
): Machine => machineOf(mergeProfiles(profiles), name, entry)
