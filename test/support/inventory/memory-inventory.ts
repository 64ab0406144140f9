import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../../src/errors.ts'
import type { MachineEntry } from '../../../src/machine/machine.ts'
import type { ProfileEntry, SwarmEntry } from '../../../src/machine/schema.ts'
import { findJumpHostErrors } from '../../../src/state/inventory/check/check-jump-hosts.ts'
import { validateShared } from '../../../src/state/inventory/edit-shared-entries.ts'
import {
  checkRename,
  inventoryOf,
  machineWith,
  type Inventory,
  type InventoryStore,
} from '../../../src/state/inventory/inventory.ts'
import type { OptionsOf } from '../../../src/state/inventory/parse-inventory.ts'
import { checkMachine, normalizeEntry } from '../../../src/state/yaml/normalize-entry.ts'

/** Initial contents of an inventory in memory, apart from its machines. */
interface Beginning extends Partial<Pick<Inventory, 'id' | 'defaults' | 'operators'>> {
  readonly profiles?: Readonly<Record<string, ProfileEntry>>
  readonly swarms?: Readonly<Record<string, SwarmEntry>>
  readonly optionsOf?: OptionsOf
}

const setOrDelete = <Value>(
  map: Map<string, Value>,
  name: string,
  value: Value | undefined,
): void => {
  if (value === undefined) map.delete(name)
  else map.set(name, value)
}

/** Creates an inventory in memory, for operations that need a store but no file. */
export function openMemoryInventory(
  entries: Readonly<Record<string, MachineEntry>> = {},
  {
    id = '4f0c2f6e',
    defaults = {},
    operators = new Map(),
    profiles = {},
    swarms = {},
    optionsOf = () => undefined,
  }: Beginning = {},
): InventoryStore {
  const machines = new Map(Object.entries(structuredClone(entries)))
  const keys = new Map(operators)
  const shared = new Map(Object.entries(profiles))
  const clusters = new Map(Object.entries(swarms))
  const snapshot = (): Inventory => {
    const file = structuredClone({
      ...{ version: 1 as const, id, defaults: { ...defaults } },
      operators: Object.fromEntries(keys),
      profiles: Object.fromEntries(shared),
      swarms: Object.fromEntries(clusters),
      machines: Object.fromEntries(machines),
    })
    return inventoryOf({ file, names: [...machines.keys()] })
  }
  const update: InventoryStore['update'] = async (name, change) => {
    const inventory = snapshot()
    const before = inventory.entries.get(name)
    const changed = change(structuredClone(before), inventory)
    const after = changed && normalizeEntry(name, changed)
    const machine = after && machineWith(inventory, name, after)
    if (machine) checkMachine(machine, inventory, optionsOf)
    if (isDeepStrictEqual(before, after)) return
    const was = before && inventory.machines.get(name)
    const [wrong] = findJumpHostErrors(inventory, { name, before: was, after: machine })
    if (wrong !== undefined) throw new UserError('inventory', wrong.message)
    setOrDelete(machines, name, after)
  }
  return {
    location: 'memory',
    updateOperator: async (name, change) => {
      const entry = change(keys.get(name), snapshot())
      setOrDelete(keys, name, entry && validateShared('operators', name, entry))
    },
    updateProfile: async (name, change) => {
      const entry = change(shared.get(name), snapshot())
      setOrDelete(shared, name, entry && validateShared('profiles', name, entry))
    },
    updateSwarm: async (name, change) => {
      const entry = change(clusters.get(name), snapshot())
      setOrDelete(clusters, name, entry && validateShared('swarms', name, entry))
    },
    rename: async (from, to) => {
      checkRename(snapshot(), from, to)
      for (const [name, profile] of shared) {
        if (profile.via === from) shared.set(name, { ...profile, via: to })
      }
      const all = [...machines]
      machines.clear()
      for (const [name, entry] of all) {
        machines.set(name === from ? to : name, {
          ...entry,
          ...(entry.via === from && { via: to }),
        })
      }
    },
    read: async () => snapshot(),
    update,
    updateAll: async (names, change) => {
      const before = [...machines]
      try {
        for (const name of names) await update(name, (_, newest) => change(name, newest))
      } catch (error) {
        machines.clear()
        for (const [name, entry] of before) machines.set(name, entry)
        throw error
      }
    },
  }
}
