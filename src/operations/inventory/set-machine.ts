import type { DriverDefinition } from '../../drivers/driver.ts'
import { UserError } from '../../errors.ts'
import type { Machine, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { mergeEngine } from '../../machine/profiles.ts'
import { type Inventory, entryFor, machineWith } from '../../state/inventory/inventory.ts'
import { checkSettable } from './check-settable.ts'
import { findMachine } from './choose-machines.ts'
import type { Context } from '../context.ts'
import { type EditedEntry, editEntries, onlyValue } from './edit-entries.ts'
import type { Outcome } from '../fan-out/fan-out.ts'
import { allowTyped } from './grants.ts'
import { checkMachineOptions, withOption } from './set-option.ts'

/** A setting: `key=value`, or `key-`, which has no value and removes the key. */
export interface Setting {
  readonly key: string
  readonly value: string | undefined
}

/** The settings other than `label.KEY` and driver options. */
export const known = ['protected', 'engine', 'via', 'userData'] as const

type Known = (typeof known)[number]

export const isKnown = (key: string): boolean =>
  known.includes(key as Known) || key.startsWith('label.')

/** Parses words of the form `key=value` or `key-`. Throws kind `usage` for anything else. */
export function parseSettings(words: readonly string[]): readonly Setting[] {
  return words.map((word) => {
    const [, key, value] = /^([^=]+?)(?:-|=(.*))$/s.exec(word) ?? []
    if (key === undefined) {
      throw new UserError('usage', `invalid setting ${JSON.stringify(word)}`, {
        hint: `use key=value to change a setting and key- to remove it; settings: label.KEY, ${known.join(', ')}`,
      })
    }
    return { key, value }
  })
}

/** The engine of an entry, changed to another version or channel. Its other settings are kept. */
function engineOf(
  value: string | undefined,
  before: MachineEntry['engine'],
): MachineEntry['engine'] {
  if (value === undefined || value === 'none') return value
  const source = ['distribution', 'stable', 'test'].includes(value)
    ? { channel: value as 'stable' }
    : { version: value }
  return mergeEngine(before, source)
}

function protectionOf(value: string | undefined): boolean | undefined {
  if (value === undefined) return undefined
  if (value === 'true' || value === 'false') return value === 'true'
  throw new UserError('usage', 'protected must be true or false')
}

/** Applies one setting to an entry. A setting without a value removes the field. */
export function withSetting(
  { labels: before, ...entry }: MachineEntry,
  { key, value }: Setting,
): MachineEntry {
  if (key.startsWith('label.')) {
    const { [key.slice('label.'.length)]: _old, ...others } = before ?? {}
    const added = value === undefined ? {} : { [key.slice('label.'.length)]: value }
    const labels = { ...others, ...added }
    return Object.keys(labels).length === 0 ? entry : { ...entry, labels }
  }
  const set =
    key === 'protected'
      ? protectionOf(value)
      : key === 'engine'
        ? engineOf(value, entry.engine)
        : (value ?? undefined)
  const { [key as Known]: _old, ...others } = entry
  return {
    ...others,
    ...(before !== undefined && { labels: before }),
    ...(set !== undefined && { [key]: set }),
  }
}

/**
 * Changes settings in the entries of all machines, or of none; these settings override those of profiles. The hosts are
 * not changed until `fleet apply`. Paths outside the directory of the inventory are allowed, because the user has typed
 * them. The outcomes contain the changed machines or, if nothing was written, the errors: kind `usage` for unknown keys
 * and invalid options.
 */
export async function setMachines(
  context: Context,
  machines: readonly Machine[],
  settings: readonly Setting[],
): Promise<Outcome<Machine, Machine>[]> {
  const names = new Set(machines.map(({ driver }) => driver))
  const definitions = new Map<string, DriverDefinition>()
  for (const name of names) definitions.set(name, await context.driver(name))
  const removed = settings.filter(({ value }) => value === undefined).map(({ key }) => key)
  const edit = (newest: Inventory, name: MachineName): EditedEntry => {
    const { driver } = findMachine(newest, name)
    const definition = definitions.get(driver)
    if (definition === undefined) throw driverChanged(name, driver)
    const before = entryFor(newest, name) ?? {}
    const entry = settings.reduce<MachineEntry>(
      (entry, setting) =>
        isKnown(setting.key)
          ? withSetting(entry, setting)
          : withOption(definition, entry, setting, known),
      before,
    )
    if (entry.via !== undefined) findMachine(newest, entry.via)
    const machine = checkSettable(newest, name, { before, entry, removed })
    if (settings.some(({ key }) => !isKnown(key))) checkMachineOptions(definition, machine, newest)
    const { protected: isProtected, ...others } = entry
    const isChange = isProtected !== false || machineWith(newest, name, others).protected
    return { entry: isChange ? entry : others, machine }
  }
  const outcomes = await editEntries(context, machines, edit)
  for (const outcome of outcomes) {
    if ('error' in outcome) continue
    const { value } = outcome
    const typed = settings.map(({ key }) => [key, value.options?.[key]] as const)
    await allowTyped(context, value, Object.fromEntries(typed))
  }
  return outcomes
}

const driverChanged = (machine: MachineName, driver: string): UserError =>
  new UserError('failed', `${machine}'s driver was changed to ${driver} by another command`, {
    machine,
    hint: 'run the command again',
  })

/** Like {@link setMachines}, for one machine; throws the error. */
export async function setMachine(
  context: Context,
  name: string,
  settings: readonly Setting[],
): Promise<Machine> {
  const machine = findMachine(await (await context.inventory()).read(), name)
  return onlyValue(await setMachines(context, [machine], settings))
}

/** Renames a machine. Its host and the tags at its provider are not changed. */
export async function renameMachine(
  context: Context,
  from: string,
  to: MachineName,
): Promise<void> {
  const store = await context.inventory()
  const { name } = findMachine(await store.read(), from)
  await store.rename(name, to)
  const active = await context.active()
  if ((await active.current()) === name) await active.use(to)
  await active.drop(name)
}
