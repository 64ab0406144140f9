import { UserError } from '../../errors.ts'
import type { Machine, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { type Inventory, machineWith } from '../../state/inventory/inventory.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** An entry before and after an edit, and the removed keys: names of fields, names of options, and `label.KEY`. */
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

/** Returns the machine of an edited entry. Throws kind `usage` when a removed key comes from a profile. */
export function checkSettable(
  inventory: Inventory,
  name: MachineName,
  { before, entry, removed }: Edited,
): Machine {
  const machine = machineWith(inventory, name, entry)
  const [own, effective] = [keysOf(before), keysOf(machine)]
  const left = removed.find((key) => effective.has(key) && !own.has(key))
  if (left === undefined) return machine
  throw new UserError(
    'usage',
    `cannot remove ${left} from ${name}: it comes from the profile ${entry.extends}`,
    {
      machine: name,
      hint: `set another value: fleet set ${name} ${shellQuote(left)}=VALUE; or change the profile`,
    },
  )
}
