import { stringify } from 'yaml'
import type { Machine } from '../../machine/machine.ts'

/** Machines as YAML, with what profiles say for them. */
export const formatMachines = (machines: readonly Machine[]): string =>
  stringify(Object.fromEntries(machines.map(({ name, ...entry }) => [name, entry])), {
    lineWidth: 0,
  })
