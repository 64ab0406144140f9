import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../src/errors.ts'
import type { MachineEntry } from '../../src/machine/machine.ts'
import type { MachineName } from '../../src/machine/name.ts'
import { findWaysLeftWrong } from '../../src/state/check-ways.ts'
import { tidyOperator } from '../../src/state/edit-operators.ts'
import {
  checkRename,
  entryOf,
  type Inventory,
  type InventoryStore,
} from '../../src/state/inventory.ts'
import type { OptionsOf } from '../../src/state/parse-inventory.ts'
import { tidyEntry } from '../../src/state/tidy-entry.ts'

/** An inventory that lives as long as the test; for operations that need a store and no file. */
export function openMemoryInventory(
  entries: Readonly<Record<string, MachineEntry>> = {},
  {
    id = '4f0c2f6e',
    defaults = {},
    operators = new Map(),
    optionsOf = () => undefined,
  }: Partial<Pick<Inventory, 'id' | 'defaults' | 'operators'> & { optionsOf: OptionsOf }> = {},
): InventoryStore {
  const machines = new Map(
    Object.entries(entries).map(([text, entry]) => {
      const name = text as MachineName
      return [name, { ...structuredClone(entry), name }] as const
    }),
  )
  const keys = new Map(operators)
  const snapshot = (): Inventory => ({
    id,
    defaults,
    operators: new Map(keys),
    machines: structuredClone(machines),
  })
  return {
    location: 'memory',
    updateOperator: async (name, change) => {
      const entry = change(keys.get(name), snapshot())
      if (entry === undefined) keys.delete(name)
      else keys.set(name, tidyOperator(name, entry))
    },
    rename: async (from, to) => {
      checkRename(snapshot(), from, to)
      const all = [...machines.values()]
      machines.clear()
      for (const machine of all) {
        const name = machine.name === from ? to : machine.name
        machines.set(name, { ...machine, name, ...(machine.via === from && { via: to }) })
      }
    },
    read: async () => snapshot(),
    update: async (name, change) => {
      const inventory = snapshot()
      const machine = inventory.machines.get(name)
      const before = machine && entryOf(machine)
      const changed = change(before, inventory)
      const after = changed && tidyEntry({ name, entry: changed, defaults }, optionsOf)
      if (isDeepStrictEqual(before, after)) return
      const [wrong] = findWaysLeftWrong(inventory, { name, before, after })
      if (wrong !== undefined) throw new UserError('inventory', wrong.message)
      if (after) machines.set(name, { ...after, name })
      else machines.delete(name)
    },
  }
}
