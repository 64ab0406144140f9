import { setMaxListeners } from 'node:events'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import type { Clock } from '../clock.ts'
import { interleave } from './interleave.ts'

/** What came of the work on one machine. */
export type Outcome<Machine, Value> =
  | { readonly machine: Machine; readonly value: Value }
  | { readonly machine: Machine; readonly error: UserError }

/** Work on one machine; `signal` tells it to stop. */
export type Work<Machine, Value> = (machine: Machine, signal: AbortSignal) => Promise<Value>

/** How long something may take. */
interface TimeLimit {
  readonly ms: number
  readonly clock: Clock
}

export interface FanOutOptions {
  readonly signal: AbortSignal
  /** How many machines are worked on at once; 32 unless told. */
  readonly concurrency?: number | undefined
  /** How long the work on one machine may take, as `clock` tells. */
  readonly timeLimit?: TimeLimit | undefined
  /** After this many failures no more machines are begun with; those under way go on. */
  readonly maxFail?: number | undefined
}

/**
 * Does the work on every machine, several at once, and yields each outcome as it comes. One
 * machine's failure is its outcome and stops no other. Throws the signal's reason when aborted;
 * leaving the loop tells the work under way to stop.
 */
export async function* fanOut<Machine extends { readonly name: string }, Value>(
  machines: readonly Machine[],
  work: Work<Machine, Value>,
  { signal, concurrency = 32, timeLimit, maxFail = Infinity }: FanOutOptions,
): AsyncGenerator<Outcome<Machine, Value>, void> {
  const left = new AbortController()
  const stop = AbortSignal.any([signal, left.signal])
  setMaxListeners(0, stop) // one for each machine that is worked on
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

/** The outcome of the work on one machine, at the latest when its time is up. */
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

/** Whether the system says why, as of a connection that broke or a full disk; a code of Node.js's own tells of wrong code. */
const isTold = (thrown: unknown): boolean => codeOf(thrown)?.startsWith('ERR_') === false

/** What was thrown, as one machine's failure. A bug is the cause, with its stack. */
const asUserError = (thrown: unknown, machine: string): UserError =>
  thrown instanceof UserError
    ? thrown
    : new UserError(isTold(thrown) ? 'failed' : 'bug', messageOf(thrown), {
        machine,
        cause: thrown,
      })

/** All outcomes of {@link fanOut} at its end, in the order of `machines`. */
export async function fanOutInOrder<Machine extends { readonly name: string }, Value>(
  machines: readonly Machine[],
  work: Work<Machine, Value>,
  options: FanOutOptions,
): Promise<Outcome<Machine, Value>[]> {
  const outcomes: Outcome<Machine, Value>[] = []
  for await (const outcome of fanOut(machines, work, options)) outcomes.push(outcome)
  return outcomes.sort((a, b) => machines.indexOf(a.machine) - machines.indexOf(b.machine))
}
