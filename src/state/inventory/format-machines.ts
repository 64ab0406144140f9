import { stringify } from 'yaml'
import type { Machine } from '../../machine/machine.ts'

/** Formats machines as YAML, with the values from their profiles. */
export const formatMachines = (machines: readonly Machine[]): string =>
  stringify(Object.fromEntries(machines.map(({ name, ...entry }) => [name, entry])), {
    lineWidth: 0,
  })
