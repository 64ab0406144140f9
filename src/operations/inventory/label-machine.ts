import { parseLabel } from '../../machine/labels.ts'
import type { Machine } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { type Inventory, entryFor } from '../../state/inventory/inventory.ts'
import { checkSettable } from './check-settable.ts'
import type { Context } from '../context.ts'
import { findMachine } from './choose-machines.ts'
import { type EditedEntry, editEntries } from './edit-entries.ts'
import type { Outcome } from '../fan-out/fan-out.ts'

/** The labels to set, and the keys of the labels to remove. */
export interface LabelChange {
  readonly set: ReadonlyMap<string, string>
  readonly remove: ReadonlySet<string>
}

/** Parses words of the form `key=value` or `key-`. Throws kind `usage` for anything else. */
export function parseLabelChange(words: readonly string[]): LabelChange {
  const hint = 'use key=value to set a label and key- to remove one'
  const removed = words.filter((word) => /^[^=]+-$/.test(word))
  const set = words.filter((word) => !removed.includes(word)).map((word) => parseLabel(word, hint))
  return { set: new Map(set), remove: new Set(removed.map((word) => word.slice(0, -1))) }
}

/**
 * Sets and removes labels on all machines, or on none. The outcomes contain the changed machines or, if nothing was
 * written, the errors.
 */
export async function labelMachines(
  context: Context,
  machines: readonly Machine[],
  change: LabelChange,
): Promise<Outcome<Machine, Machine>[]> {
  const edit = (newest: Inventory, name: MachineName): EditedEntry => {
    const before = entryFor(newest, findMachine(newest, name).name) ?? {}
    const { labels: had = {}, ...rest } = before
    const own = Object.fromEntries(
      [...new Map([...Object.entries(had), ...change.set])].filter(
        ([key]) => !change.remove.has(key),
      ),
    )
    const entry = Object.keys(own).length === 0 ? rest : { ...rest, labels: own }
    const removed = Array.from(change.remove, (key) => `label.${key}`)
    return { entry, machine: checkSettable(newest, name, { before, entry, removed }) }
  }
  return editEntries(context, machines, edit)
}
