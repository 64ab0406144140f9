import { UserError } from '../errors.ts'
import type { Machine, MachineEntry } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import type { Operators } from '../machine/operators.ts'
import type { InventoryFile, OperatorEntry } from '../machine/schema.ts'

/** What an inventory says at one moment. */
export interface Inventory {
  /** Names this fleet in providers' tags. */
  readonly id: string
  /** Driver options that machines share, by driver. */
  readonly defaults: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly operators: Operators
  /** Whether changes are committed. */
  readonly audit?: 'git' | undefined
  /** In the order of the file. */
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
  const { id, defaults = {}, operators = {}, audit, machines } = file
  const entries = new Map(Object.entries(machines ?? {}))
  return {
    id,
    defaults,
    operators: new Map(Object.entries(operators)),
    ...(audit !== undefined && { audit }),
    machines: new Map(
      names.flatMap((text) => {
        const entry = entries.get(text)
        const name = text as MachineName
        return entry ? [[name, { ...entry, name }] as const] : []
      }),
    ),
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
  /** As `update`, for one operator's key. Throws kind `usage` for an entry that could not be read back. */
  updateOperator(
    name: string,
    change: (entry: OperatorEntry | undefined, inventory: Inventory) => OperatorEntry | undefined,
  ): Promise<void>
  /**
   * Gives a machine another name, and changes `via` of those that are reached through it, in one write.
   * Throws kind `unknown-machine`, and `usage` when the new name is taken.
   */
  rename(from: MachineName, to: MachineName): Promise<void>
}

/** Checks that a machine can be renamed in what the inventory says. Throws as `rename` does. */
export function checkRename({ machines }: Inventory, from: MachineName, to: MachineName): void {
  if (!machines.has(from)) {
    throw new UserError('unknown-machine', `there is no machine called "${from}"`, {
      hint: 'fleet ls shows the machines',
    })
  }
  if (!machines.has(to)) return
  throw new UserError('usage', `there is already a machine called ${to}: nothing was changed`, {
    machine: from,
    hint: 'choose another name',
  })
}

/** The entry of `machine`, without the name it stands under. */
export function entryOf(machine: Machine): MachineEntry {
  const { name: _name, ...entry } = machine
  return entry
}
