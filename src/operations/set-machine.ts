import { UserError } from '../errors.ts'
import type { Machine, MachineEntry } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import { entryFor, machineWith } from '../state/inventory.ts'
import { checkSettable } from './check-settable.ts'
import { findMachine } from './choose-machines.ts'
import type { Context } from './context.ts'
import { allowTyped } from './grants.ts'
import { checkMachineOptions, withOption } from './set-option.ts'

/** One `key=value` word, or `key-`, which has no value. */
export interface Setting {
  readonly key: string
  readonly value: string | undefined
}

/** What can be set besides `label.KEY` and options of the driver. */
export const known = ['protected', 'engine', 'via', 'userData'] as const

type Known = (typeof known)[number]

export const isKnown = (key: string): boolean =>
  known.includes(key as Known) || key.startsWith('label.')

/** Reads `key=value` and `key-` words. Throws kind `usage` for anything else. */
export function parseSettings(words: readonly string[]): readonly Setting[] {
  return words.map((word) => {
    const [, key, value] = /^([^=]+?)(?:-|=(.*))$/s.exec(word) ?? []
    if (key === undefined) {
      throw new UserError('usage', `${JSON.stringify(word)} sets nothing`, {
        hint: `write key=value to set and key- to remove: label.KEY, ${known.join(', ')}`,
      })
    }
    return { key, value }
  })
}

function engineOf(value: string | undefined): MachineEntry['engine'] {
  if (value === undefined || value === 'none') return value
  return ['distribution', 'stable', 'test'].includes(value)
    ? { channel: value as 'stable' }
    : { version: value }
}

function protectionOf(value: string | undefined): boolean | undefined {
  if (value === undefined) return undefined
  if (value === 'true' || value === 'false') return value === 'true'
  throw new UserError('usage', 'protected is true or false')
}

/** An entry with one setting laid over it; what is undefined is not written. */
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
        ? engineOf(value)
        : (value ?? undefined)
  const { [key as Known]: _old, ...others } = entry
  return {
    ...others,
    ...(before !== undefined && { labels: before }),
    ...(set !== undefined && { [key]: set }),
  }
}

/**
 * Changes what the entry of a machine says; what a profile says is overridden there. Its host stays as it is until
 * `fleet apply`. A path outside the folder of the inventory is allowed by being typed. Resolves to what holds then. Throws kind `usage` for a key that is neither fleet's nor an option of the driver, and
 * for options that the driver does not take.
 */
export async function setMachine(
  context: Context,
  name: string,
  settings: readonly Setting[],
): Promise<Machine> {
  const store = await context.inventory()
  const machine = findMachine(await store.read(), name)
  const definition = await context.driver(machine.driver)
  const setsOption = settings.some(({ key }) => !isKnown(key))
  const apply = (entry: MachineEntry, setting: Setting): MachineEntry =>
    isKnown(setting.key)
      ? withSetting(entry, setting)
      : withOption(definition, entry, setting, known)
  const removed = settings.filter(({ value }) => value === undefined).map(({ key }) => key)
  let changed = machine
  await store.update(machine.name, (_, newest) => {
    const before = entryFor(newest, findMachine(newest, name).name) ?? {}
    const entry = settings.reduce(apply, before)
    if (entry.via !== undefined) findMachine(newest, entry.via)
    changed = checkSettable(newest, machine.name, { before, entry, removed })
    if (setsOption) checkMachineOptions(definition, changed, newest)
    const { protected: isProtected, ...others } = entry
    const isNews = isProtected !== false || machineWith(newest, machine.name, others).protected
    return isNews ? entry : others
  })
  const typed = Object.fromEntries(
    settings.map(({ key }) => [key, changed.options?.[key]] as const),
  )
  await allowTyped(context, changed, typed)
  return changed
}

/** Gives a machine another name. Its host, and the tags that it has at its provider, stay as they are. */
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
