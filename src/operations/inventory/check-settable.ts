import { UserError } from '../../errors.ts'
import type { Machine, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { type Inventory, machineWith } from '../../state/inventory/inventory.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** What an entry was and is to be, and which keys are to go: those of the entry, those of options, and `label.KEY`. */
interface Edited {
  readonly before: MachineEntry
  readonly entry: MachineEntry
  readonly removed: readonly string[]
}

const keysOf = ({ labels = {}, options = {}, ...entry }: MachineEntry): ReadonlySet<string> =>
  new Set([
    ...Object.keys(entry),
    ...Object.keys(options),
    ...Object.keys(labels).map((key) => `label.${key}`),
  ])

/** What an edited entry comes to. Throws kind `usage` where only a profile says what is to go. */
export function checkSettable(
  inventory: Inventory,
  name: MachineName,
  { before, entry, removed }: Edited,
): Machine {
  const machine = machineWith(inventory, name, entry)
  const [own, said] = [keysOf(before), keysOf(machine)]
  const left = removed.find((key) => said.has(key) && !own.has(key))
  if (left === undefined) return machine
  throw new UserError('usage', `${left} of ${name} comes from the profile ${entry.extends}`, {
    machine: name,
    hint: `set another value: fleet set ${name} ${shellQuote(left)}=VALUE; or change the profile`,
  })
}
