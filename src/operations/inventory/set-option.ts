import type { DriverDefinition } from '../../drivers/driver.ts'
import { checkOptions, optionFlags, readOptionFlags } from '../../drivers/options/option-flags.ts'
import { UserError } from '../../errors.ts'
import type { Machine, MachineEntry } from '../../machine/machine.ts'
import { suggest } from '../../machine/nearest-name.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'

/** Sets a driver option in an entry, or removes it if there is no value. Throws kind `usage` for an unknown option. */
export function withOption(
  definition: DriverDefinition,
  { options: before, ...entry }: MachineEntry,
  { key, value }: { readonly key: string; readonly value: string | undefined },
  others: readonly string[],
): MachineEntry {
  const flags = optionFlags(definition)
  const flag = flags.find((one) => one.key === key)
  if (flag === undefined) {
    const keys = flags.map((one) => one.key)
    const of = keys.length === 0 ? '' : `; ${definition.name} driver options: ${keys.join(', ')}`
    const meant = suggest(key, [...others, 'label.', ...keys])
    throw new UserError('usage', `unknown setting ${JSON.stringify(key)}${meant}`, {
      hint: `use key=value to change a setting and key- to remove it; settings: label.KEY, ${others.join(', ')}${of}`,
    })
  }
  const { [key]: _old, ...rest } = before ?? {}
  const set = value === undefined ? {} : readOptionFlags(definition, { [flag.name]: value })
  const options = { ...rest, ...set }
  return Object.keys(options).length === 0 ? entry : { ...entry, options }
}

/** Throws kind `usage` when the options of a machine do not match the schema of its driver. */
export function checkMachineOptions(
  definition: DriverDefinition,
  { options = {} }: Machine,
  { defaults }: Inventory,
): void {
  checkOptions(definition, options, defaults[definition.name])
}
