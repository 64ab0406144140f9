import { UserError } from '../../errors.ts'
import type { Context } from '../context.ts'
import { type Outcome, type Work, fanOut } from './fan-out.ts'

/** Options of {@link collectOutcomes}. */
export interface CollectOptions<Machine, Value> {
  readonly concurrency?: number | undefined
  /** How long the work on one machine may take, in milliseconds. */
  readonly timeoutMs?: number | undefined
  /** After this many failures, no more machines are started. */
  readonly maxFail?: number | undefined
  /** Called with each outcome as it arrives. */
  readonly onOutcome?: (outcome: Outcome<Machine, Value>) => void
}

/** The results of work on several machines. */
export interface Results<Machine, Value> {
  /** The outcomes, in the order of the machines. */
  readonly outcomes: readonly Outcome<Machine, Value>[]
  /** The machines on which the work was not started or not finished, because it was stopped. */
  readonly rest: readonly Machine[]
  /** Whether the user canceled the work. */
  readonly cancelled: boolean
}

/**
 * Does work on every machine and collects the outcomes. If the work is canceled, returns the outcomes so far. Records
 * the machines on which the work did not succeed, for `--retry-failed`.
 */
export async function collectOutcomes<Machine extends { readonly name: string }, Value>(
  context: Pick<Context, 'signal' | 'failures' | 'clock'>,
  machines: readonly Machine[],
  work: Work<Machine, Value>,
  { onOutcome, concurrency, timeoutMs, maxFail }: CollectOptions<Machine, Value> = {},
): Promise<Results<Machine, Value>> {
  const arrived = new Map<Machine, Outcome<Machine, Value>>()
  let cancelled = false
  try {
    const { signal, clock } = context
    const timeLimit = timeoutMs === undefined ? undefined : { ms: timeoutMs, clock }
    const options = { signal, concurrency, timeLimit, maxFail }
    for await (const outcome of fanOut(machines, work, options)) {
      arrived.set(outcome.machine, outcome)
      onOutcome?.(outcome)
    }
  } catch (error) {
    if (!(error instanceof UserError && error.kind === 'cancelled')) throw error
    cancelled = true
  }
  const outcomes = machines.flatMap((machine) => arrived.get(machine) ?? [])
  const rest = machines.filter((machine) => !arrived.has(machine))
  const failed = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.machine] : []))
  const unfinished = new Set([...failed, ...rest])
  const names = machines.filter((machine) => unfinished.has(machine)).map(({ name }) => name)
  await (await context.failures()).keep(names)
  return { outcomes, rest, cancelled }
}
