import { UserError } from '../errors.ts'
import type { Machine, MachineEntry } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import { type Inventory, machineWith } from '../state/inventory.ts'

/** What an entry is to be, and which keys were taken out: those of the entry, and `label.KEY`. */
interface Edited {
  readonly entry: MachineEntry
  readonly removed: readonly string[]
}

/** What an edited entry comes to. Throws kind `usage` where a profile says still what was to be taken out. */
export function checkSettable(
  inventory: Inventory,
  name: MachineName,
  { entry, removed }: Edited,
): Machine {
  const machine = machineWith(inventory, name, entry)
  const labels = Object.keys(machine.labels ?? {}).map((key) => `label.${key}`)
  const said = new Set([...Object.keys(machine), ...labels])
  const left = removed.find((key) => said.has(key))
  if (left === undefined) return machine
  throw new UserError('usage', `${left} of ${name} comes from the profile ${entry.extends}`, {
    machine: name,
    hint: `give it another value: fleet set ${name} ${left}=VALUE; or change the profile`,
  })
}
