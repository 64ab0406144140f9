import { setMaxListeners } from 'node:events'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import type { Clock } from '../clock.ts'
import { interleave } from './interleave.ts'

/** The result of the work on one machine. */
export type Outcome<Machine, Value> =
  | { readonly machine: Machine; readonly value: Value }
  | { readonly machine: Machine; readonly error: UserError }

/** Does the work on one machine; `signal` aborts it. */
export type Work<Machine, Value> = (machine: Machine, signal: AbortSignal) => Promise<Value>

/** A time limit, measured by `clock`. */
interface TimeLimit {
  readonly ms: number
  readonly clock: Clock
}

export interface FanOutOptions {
  readonly signal: AbortSignal
  /** The maximum number of machines that are worked on at the same time (default: 32). */
  readonly concurrency?: number | undefined
  /** How long the work on one machine may take. */
  readonly timeLimit?: TimeLimit | undefined
  /** After this many failures, no more machines are started; running work continues. */
  readonly maxFail?: number | undefined
}

/**
 * Does the work on every machine, several at the same time, and yields each outcome as it arrives. The failure of one machine
 * does not stop the others. Throws the signal's reason when aborted. Leaving the loop aborts the running work.
 */
export async function* fanOut<Machine extends { readonly name: string }, Value>(
  machines: readonly Machine[],
  work: Work<Machine, Value>,
  { signal, concurrency = 32, timeLimit, maxFail = Infinity }: FanOutOptions,
): AsyncGenerator<Outcome<Machine, Value>, void> {
  const left = new AbortController()
  const stop = AbortSignal.any([signal, left.signal])
  setMaxListeners(0, stop) // each running machine adds a listener
  const waiting = machines.values()
  let failed = 0
  async function* takeTurns() {
    while (failed < maxFail) {
      const { done, value: machine } = waiting.next()
      if (done === true) return
      const outcome = await attempt(machine, work, stop, timeLimit)
      if ('error' in outcome) failed += 1
      yield outcome
    }
  }
  try {
    const workers = Array.from({ length: Math.min(concurrency, machines.length) }, takeTurns)
    yield* interleave(workers, signal)
  } finally {
    left.abort()
  }
}

/** Does the work on one machine within the time limit, and resolves to its outcome. */
async function attempt<Machine extends { readonly name: string }, Value>(
  machine: Machine,
  work: Work<Machine, Value>,
  stop: AbortSignal,
  timeLimit: TimeLimit | undefined,
): Promise<Outcome<Machine, Value>> {
  const ending = new AbortController()
  const end = () => ending.abort(stop.reason)
  const expire = () => ending.abort(tooLate(machine.name, timeLimit?.ms ?? 0))
  const ended = new Promise<never>((_, reject) => {
    ending.signal.addEventListener('abort', () => reject(ending.signal.reason as Error))
  })
  stop.addEventListener('abort', end)
  const stopClock = timeLimit?.clock.start(timeLimit.ms, expire)
  try {
    return { machine, value: await Promise.race([work(machine, ending.signal), ended]) }
  } catch (thrown) {
    const { aborted, reason } = ending.signal
    const why: unknown = aborted && !(thrown instanceof UserError) ? reason : thrown
    return { machine, error: asUserError(why, machine.name) }
  } finally {
    stopClock?.()
    stop.removeEventListener('abort', end)
  }
}

const tooLate = (machine: string, timeoutMs: number): UserError =>
  new UserError('unreachable', `no answer within ${timeoutMs / 1000} s`, {
    machine,
    hint: `allow more time with --timeout SECONDS, or check the machine: fleet status ${machine}`,
  })

/** Whether an error comes from the system (broken connection, full disk). Node.js's own ERR_ codes indicate a bug. */
const isSystemError = (thrown: unknown): boolean => codeOf(thrown)?.startsWith('ERR_') === false

/**
 * Converts an error to a UserError for a machine. If the error indicates a bug, it is kept as the cause, with its
 * stack.
 */
const asUserError = (thrown: unknown, machine: string): UserError =>
  thrown instanceof UserError
    ? thrown
    : new UserError(isSystemError(thrown) ? 'failed' : 'bug', messageOf(thrown), {
        machine,
        cause: thrown,
      })

/** Resolves to all outcomes of {@link fanOut} once they are complete, in the order of `machines`. */
export async function fanOutInOrder<Machine extends { readonly name: string }, Value>(
  machines: readonly Machine[],
  work: Work<Machine, Value>,
  options: FanOutOptions,
): Promise<Outcome<Machine, Value>[]> {
  const outcomes: Outcome<Machine, Value>[] = []
  for await (const outcome of fanOut(machines, work, options)) outcomes.push(outcome)
  return outcomes.sort((a, b) => machines.indexOf(a.machine) - machines.indexOf(b.machine))
}
