import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../errors.ts'
import type { Machine, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { type Inventory, entryFor } from '../../state/inventory/inventory.ts'
import type { Stores } from '../context.ts'
import type { Outcome } from '../fan-out/fan-out.ts'

/** An edited entry, and the machine that results from it and its profiles. */
export interface EditedEntry {
  readonly entry: MachineEntry
  readonly machine: Machine
}

/** The edited machines, or the errors that `edit` threw. */
function attempt(
  inventory: Inventory,
  machines: readonly Machine[],
  edit: (inventory: Inventory, name: MachineName) => EditedEntry,
): Outcome<Machine, Machine>[] {
  return machines.map((machine) => {
    try {
      return { machine, value: edit(inventory, machine.name).machine }
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      return { machine, error }
    }
  })
}

/**
 * Changes the entries of all machines in one write. If one of them cannot be changed, nothing is written, and the
 * outcomes contain the errors.
 */
export async function editEntries(
  context: Pick<Stores, 'inventory'>,
  machines: readonly Machine[],
  edit: (inventory: Inventory, name: MachineName) => EditedEntry,
): Promise<Outcome<Machine, Machine>[]> {
  const store = await context.inventory()
  const attempted = attempt(await store.read(), machines, edit)
  if (attempted.some((outcome) => 'error' in outcome)) return attempted
  const edited = new Map<MachineName, Machine>()
  const names = machines.map(({ name }) => name)
  await store.updateAll(names, (name, newest) => {
    const { entry, machine } = edit(newest, name)
    edited.set(name, machine)
    const isUnchanged = isDeepStrictEqual(entry, entryFor(newest, name))
    // If nothing was changed, a machine that comes from the count of a profile must not get an entry.
    return isUnchanged ? newest.entries.get(name) : entry
  })
  return machines.map((machine) => ({ machine, value: edited.get(machine.name) ?? machine }))
}

/** The value of a single outcome. Throws its error. */
export function onlyValue<Value>(outcomes: readonly Outcome<Machine, Value>[]): Value {
  const [outcome] = outcomes
  if (outcome === undefined) throw new TypeError('there is no outcome')
  if ('error' in outcome) throw outcome.error
  return outcome.value
}
