import { UserError } from '../../errors.ts'
import type { Machine, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { suggest } from '../../machine/nearest.ts'
import type { Operators } from '../../machine/operators.ts'
import {
  type Profiles,
  machineOf,
  mergeProfiles,
  namesWanted,
  wantedBy,
} from '../../machine/profiles.ts'
import type { InventoryFile, OperatorEntry, ProfileEntry } from '../../machine/schema.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** What an inventory says at one moment. */
export interface Inventory {
  /** Names this fleet in providers' tags. */
  readonly id: string
  /** Driver options that machines share, by driver. */
  readonly defaults: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly operators: Operators
  /** Whether changes are committed. */
  readonly audit?: 'git' | undefined
  readonly profiles: Profiles
  /** What the file says of each machine itself. In its order. */
  readonly entries: ReadonlyMap<MachineName, MachineEntry>
  /** All that are wanted, in the order of the file: with what profiles say, and those that a profile counts and no entry is of. */
  readonly machines: ReadonlyMap<MachineName, Machine>
}

/** An inventory's file, found right, and the names of its machines in the order of the text. */
export interface ValidInventory {
  readonly file: InventoryFile
  /** An object's own order would put names that look like numbers first. */
  readonly names: readonly string[]
}

/** What a file that was found right says. */
export function inventoryOf({ file, names }: ValidInventory): Inventory {
  const { id, defaults = {}, operators = {}, audit } = file
  const said = new Map(Object.entries(file.machines ?? {}))
  const profiles: Profiles = new Map(Object.entries(file.profiles ?? {}))
  const merged = mergeProfiles(profiles)
  const entries = new Map<MachineName, MachineEntry>()
  for (const name of names) {
    const entry = said.get(name)
    if (entry !== undefined) entries.set(name as MachineName, entry)
  }
  const machines = new Map<MachineName, Machine>()
  for (const text of namesWanted(profiles, [...entries.keys()])) {
    const name = text as MachineName
    const entry = entries.get(name) ?? { extends: wantedBy(profiles, name)?.profile }
    machines.set(name, machineOf(merged, name, entry))
  }
  return {
    id,
    defaults,
    operators: new Map(Object.entries(operators)),
    ...(audit !== undefined && { audit }),
    profiles,
    entries,
    machines,
  }
}

/** Keeps an inventory. Safe for use by many processes at once. */
export interface InventoryStore {
  /** What a person would call it in a message: the file's path. */
  readonly location: string
  /** Throws `UserError` of kind `inventory` naming place and remedy when it cannot be read. */
  read(): Promise<Inventory>
  /**
   * Replaces one machine's entry by what `change` makes of the newest one, under the lock;
   * `undefined` stands for no entry. Nothing is written when `change` throws or changes nothing.
   * Durable once resolved. Throws kind `locked` when others hold the lock for too long.
   */
  update(
    name: MachineName,
    change: (entry: MachineEntry | undefined, inventory: Inventory) => MachineEntry | undefined,
  ): Promise<void>
  /**
   * As `update`, for several machines in one write: all of their entries change, or none does. `change` sees the inventory with
   * the changes before it, and takes no entry away.
   */
  updateAll(
    names: readonly MachineName[],
    change: (name: MachineName, inventory: Inventory) => MachineEntry | undefined,
  ): Promise<void>
  /** As `update`, for one operator's key. Throws kind `usage` for an entry that could not be read back. */
  updateOperator(
    name: string,
    change: (entry: OperatorEntry | undefined, inventory: Inventory) => OperatorEntry | undefined,
  ): Promise<void>
  /** As `updateOperator`, for one profile. */
  updateProfile(
    name: string,
    change: (entry: ProfileEntry | undefined, inventory: Inventory) => ProfileEntry | undefined,
  ): Promise<void>
  /**
   * Gives a machine another name, and changes `via` of those that are reached through it, in one write.
   * Throws kind `unknown-machine`, and `usage` when the new name is taken.
   */
  rename(from: MachineName, to: MachineName): Promise<void>
}

/** Checks that a machine can be renamed in what the inventory says. Throws as `rename` does. */
export function checkRename(
  { machines, entries }: Inventory,
  from: MachineName,
  to: MachineName,
): void {
  if (!machines.has(from)) {
    throw new UserError('unknown-machine', `there is no machine called "${from}"`, {
      hint: 'fleet ls shows the machines',
    })
  }
  if (!entries.has(from)) {
    throw new UserError('usage', `${from} is not created yet: nothing was changed`, {
      machine: from,
      hint: `fleet create ${to} --extends ${shellQuote(machines.get(from)?.extends ?? '')}`,
    })
  }
  if (!entries.has(to)) return
  throw new UserError('usage', `there is already a machine called ${to}: nothing was changed`, {
    machine: from,
    hint: 'choose another name',
  })
}

/**
 * The entry that a machine has, or is begun with where a profile wants it; undefined for a name that stands for nothing.
 */
export const entryFor = (
  { entries, profiles }: Pick<Inventory, 'entries' | 'profiles'>,
  name: MachineName,
): MachineEntry | undefined => {
  const wanted = wantedBy(profiles, name)
  return entries.get(name) ?? (wanted && { extends: wanted.profile })
}

/** Throws kind `usage`, with the nearest name, where an entry is to extend a profile that is not there. */
export function checkExtends(
  { profiles }: Pick<Inventory, 'profiles'>,
  machine: MachineName,
  extended: string | undefined,
): void {
  if (extended === undefined || profiles.has(extended)) return
  const meant = suggest(extended, profiles.keys())
  throw new UserError('usage', `there is no profile ${extended}${meant}`, { machine })
}

/** What an entry comes to with the profiles of an inventory. */
export const machineWith = (
  { profiles }: Pick<Inventory, 'profiles'>,
  name: MachineName,
  entry: MachineEntry,
): Machine => machineOf(mergeProfiles(profiles), name, entry)
