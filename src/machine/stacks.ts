import type { Machine } from './machine.ts'
import type { StackEntry } from './schema.ts'
import { parseSelector, selects } from './selector.ts'

/** Compose files to deploy to machines or to a swarm. Paths are relative to the inventory's directory. */
export interface Stack {
  /** The name of the stack. It is also the name of the Compose project. */
  readonly name: string
  readonly files: readonly string[]
  readonly envFiles: readonly string[]
  /** Selectors, as for `--on`. Empty if the stack is deployed to a swarm. */
  readonly on: readonly string[]
  /** The swarm that runs the stack as services. If absent, each of the stack's machines runs it as containers. */
  readonly swarm?: string | undefined
  /** The number or percentage of machines to deploy to at the same time. */
  readonly batch: number | `${number}%`
  /** The time limit of one deployment, in seconds. */
  readonly wait: number
  readonly profiles: readonly string[]
  readonly buildOn?: string | undefined
}

/**
 * The pattern for the names of stacks and their Compose projects. Source: the Compose specification, "Version and
 * name".
 */
export const stackNamePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/

/** The stacks, keyed by name, in the order of the file. */
export type Stacks = ReadonlyMap<string, Stack>

const [defaultBatch, defaultWait] = [1, 120]

const listOf = (value: string | readonly string[] = []): readonly string[] =>
  typeof value === 'string' ? [value] : value

/** Returns the stack of an entry, with default values filled in. */
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

/**
 * Returns the machines of a stack, in the given order. Empty if no machine matches, or if the stack is deployed to a
 * swarm.
 */
export function machinesOf<Selected extends Machine>(
  { on, swarm }: Pick<Stack, 'on' | 'swarm'>,
  machines: Iterable<Selected>,
): readonly Selected[] {
  if (swarm !== undefined) return []
  const selector = parseSelector(on)
  return [...machines].filter((machine) => selects(selector, machine))
}

/**
 * Returns the number of machines in a batch, out of `total` machines. A percentage is rounded down, but to no less than
 * one machine.
 */
export function batchSize({ batch }: Pick<Stack, 'batch'>, total: number): number {
  if (typeof batch === 'number') return batch
  return Math.max(1, Math.floor((total * Number.parseInt(batch, 10)) / 100))
}
