import { stringify } from 'yaml'
import type { Machine } from '../machine/machine.ts'
import { entryOf } from './inventory.ts'

/** Machines as YAML, as the inventory has them. */
export const formatMachines = (machines: readonly Machine[]): string =>
  stringify(Object.fromEntries(machines.map((machine) => [machine.name, entryOf(machine)])), {
    lineWidth: 0,
  })
