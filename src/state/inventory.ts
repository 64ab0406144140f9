import type { Machine, MachineEntry } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import type { InventoryFile } from '../machine/schema.ts'

/** What an inventory says at one moment. */
export interface Inventory {
  /** Names this fleet in providers' tags. */
  readonly id: string
  /** Driver options that machines share, by driver. */
  readonly defaults: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Public keys that every machine lets in, by the name of whoever holds them. */
  readonly operators: ReadonlyMap<string, string>
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
}

/** The entry of `machine`, without the name it stands under. */
export function entryOf(machine: Machine): MachineEntry {
  const { name: _name, ...entry } = machine
  return entry
}
