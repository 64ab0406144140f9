import { expect } from 'vitest'
import type { MachineEntry } from '../../../src/machine/machine.ts'
import { parseMachineName } from '../../../src/machine/name.ts'
import { parseInventoryDocument } from '../../../src/state/inventory/document.ts'
import { editInventoryText } from '../../../src/state/yaml/edit-excerpt.ts'
import { editInventory } from '../../../src/state/yaml/edit-entry.ts'
import { normalizeEntry } from '../../../src/state/yaml/normalize-entry.ts'

/** A function that returns the new entry, or undefined to remove the entry. */
export type Change = (entry: MachineEntry) => MachineEntry | undefined

/** Returns the text after `change` is applied to a machine, or to a new entry if there is none with this name. */
export function editText(text: string, name: string, change: Change): string {
  const document = parseInventoryDocument(text, 'machines.yaml')
  const { machines } = document.data as { machines?: Record<string, MachineEntry> | null }
  const changed = change(structuredClone(machines?.[name] ?? { driver: 'new' }))
  const parsed = parseMachineName(name)
  const entry = changed && normalizeEntry(parsed, changed)
  const whole = editInventory(document, parsed, entry, 'machines.yaml')
  expect(editInventoryText(text, parsed, entry, 'machines.yaml')).toBe(whole)
  return whole
}

/** The lines before the machines. */
export const head = 'version: 1\nid: 4f0c2f6e\n'
export const keep: Change = (entry) => entry
export const remove: Change = () => undefined
export const label =
  (labels: Record<string, string>): Change =>
  (entry) => ({ ...entry, labels: { ...entry.labels, ...labels } })
export const ready: Change = (entry) => ({
  ...entry,
  host: { phase: 'ready', address: '10.0.0.1' },
})

const long = (name: string, n: number): string =>
  `  ${name}:\n    driver: ssh\n    options: { address: 10.0.0.${n} }\n    host:\n      phase: ready\n      address: 10.0.0.${n}\n`
/** An inventory with three machines, separated by blank lines. */
export const fleet = `${head}machines:\n${['api-1', 'db-1', 'web-1'].map(long).join('\n')}`
