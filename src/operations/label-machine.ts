import { parseLabel } from '../machine/labels.ts'
import type { Machine, MachineEntry } from '../machine/machine.ts'
import { entryFor } from '../state/inventory.ts'
import { checkSettable } from './check-settable.ts'
import type { Context } from './context.ts'
import { findMachine } from './choose-machines.ts'

/** Labels to set, and keys of labels to remove. */
export interface LabelChange {
  readonly set: ReadonlyMap<string, string>
  readonly remove: ReadonlySet<string>
}

/** Reads `key=value` and `key-` words. Throws kind `usage` for anything else. */
export function parseLabelChange(words: readonly string[]): LabelChange {
  const hint = 'write key=value to set a label and key- to remove one'
  const removed = words.filter((word) => /^[^=]+-$/.test(word))
  const set = words.filter((word) => !removed.includes(word)).map((word) => parseLabel(word, hint))
  return { set: new Map(set), remove: new Set(removed.map((word) => word.slice(0, -1))) }
}

/**
 * Sets and removes labels of one machine, or only reads them where nothing is to change. Resolves to the
 * labels it has then.
 */
export async function labelMachine(
  context: Context,
  name: string,
  change: LabelChange,
): Promise<Readonly<Record<string, string>>> {
  const store = await context.inventory()
  const machine = findMachine(await store.read(), name)
  if (change.set.size === 0 && change.remove.size === 0) return machine.labels ?? {}
  let labels: Machine['labels'] = {}
  await store.update(machine.name, (_, newest): MachineEntry => {
    const before = entryFor(newest, findMachine(newest, name).name) ?? {}
    const { labels: had = {}, ...rest } = before
    const own = Object.fromEntries(
      [...new Map([...Object.entries(had), ...change.set])].filter(
        ([key]) => !change.remove.has(key),
      ),
    )
    const entry = Object.keys(own).length === 0 ? rest : { ...rest, labels: own }
    const removed = Array.from(change.remove, (key) => `label.${key}`)
    ;({ labels = {} } = checkSettable(newest, machine.name, { before, entry, removed }))
    return entry
  })
  return labels
}
