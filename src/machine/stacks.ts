import type { Machine } from './machine.ts'
import type { StackEntry } from './schema.ts'
import { parseSelector, selects } from './selector.ts'

/** Compose files to deploy on machines. Paths are relative to the folder of the inventory. */
export interface Stack {
  /** Also the name of the compose project. */
  readonly name: string
  readonly files: readonly string[]
  readonly envFiles: readonly string[]
  /** Selectors as for `--on`. None if it is for a swarm. */
  readonly on: readonly string[]
  /** The swarm whose services it is; absent: containers on each of its machines. */
  readonly swarm?: string | undefined
  /** How many machines are deployed to at the same time, or a percentage of them. */
  readonly batch: number | `${number}%`
  /** The time limit of one deployment, in seconds. */
  readonly wait: number
  readonly profiles: readonly string[]
  readonly buildOn?: string | undefined
}

/** Names of stacks and of their compose projects. Source: the compose specification, "Version and name". */
export const stackNamePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/

/** The stacks by name, in the order of the file. */
export type Stacks = ReadonlyMap<string, Stack>

const [defaultBatch, defaultWait] = [1, 120]

const listOf = (value: string | readonly string[] = []): readonly string[] =>
  typeof value === 'string' ? [value] : value

/** The stack of an entry, with the default values. */
export const stackOf = (name: string, entry: StackEntry): Stack => ({
  name,
  files: listOf(entry.compose),
  envFiles: listOf(entry.env),
  on: listOf(entry.on),
  ...(entry.swarm !== undefined && { swarm: entry.swarm }),
  batch: (entry.batch ?? defaultBatch) as Stack['batch'],
  wait: entry.wait ?? defaultWait,
  profiles: entry.profiles ?? [],
  ...(entry.buildOn !== undefined && { buildOn: entry.buildOn }),
})

/** The machines of a stack, in the given order. None if no machine matches, or if it is for a swarm. */
export function machinesOf<Selected extends Machine>(
  { on, swarm }: Pick<Stack, 'on' | 'swarm'>,
  machines: Iterable<Selected>,
): readonly Selected[] {
  if (swarm !== undefined) return []
  const selector = parseSelector(on)
  return [...machines].filter((machine) => selects(selector, machine))
}

/** The number of machines in a batch, of `total`. A percentage is rounded down, to at least one machine. */
export function batchSize({ batch }: Pick<Stack, 'batch'>, total: number): number {
  if (typeof batch === 'number') return batch
  return Math.max(1, Math.floor((total * Number.parseInt(batch, 10)) / 100))
}
