import { setTimeout as pause } from 'node:timers/promises'
import { UserError } from '../../../errors.ts'
import type { Call } from '../../driver.ts'

/** Returns a pause of at most `longest` milliseconds. */
type Pause = (longest: number) => number

/** Jitter, so that hosts that are created together do not send requests together. */
const withJitter: Pause = (longest) => longest * (0.5 + Math.random() / 2)

/**
 * Ends at a multiple of the interval that all waiting hosts share, so that their requests are
 * combined.
 */
const aligned: Pause = (longest) => {
  const now = performance.now()
  return Math.ceil((now + longest / 4) / longest) * longest - now
}

/** Yields before each attempt, with pauses that grow from half a second to four seconds. */
async function* pauses(
  { signal }: Call,
  within: number,
  pauseFor: Pause,
): AsyncGenerator<void, void> {
  const deadline = performance.now() + within
  for (let longest = 500; ; longest = Math.min(longest * 2, 4_000)) {
    yield
    const left = deadline - performance.now()
    if (left <= 0) return
    const rest = Math.min(left, pauseFor(longest))
    await pause(rest, undefined, { signal: AbortSignal.any([signal]) }).catch(() =>
      signal.throwIfAborted(),
    )
  }
}

/**
 * Repeats `work` until it succeeds, throws an error that is not transient, or `within` milliseconds
 * (default: one minute) have passed.
 */
export async function retry<Value>(
  call: Call,
  isTransient: (error: unknown) => boolean,
  work: () => Promise<Value>,
  within = 60_000,
): Promise<Value> {
  let last: unknown
  for await (const _ of pauses(call, within, withJitter)) {
    try {
      return await work()
    } catch (error) {
      if (call.signal.aborted || !isTransient(error)) throw error
      last = error
    }
  }
  throw last
}

/** Result of a poll: the value, or a description of the current state. */
export type PollResult<Value> = { readonly done: Value } | { readonly pending: string }

/**
 * Polls until there is a value, and reports the state after each poll. Throws kind `failed` after
 * `within` milliseconds.
 */
export async function waitUntil<Value>(
  call: Call,
  step: string,
  check: () => Promise<PollResult<Value>>,
  within = 600_000,
): Promise<Value> {
  let pending = ''
  for await (const _ of pauses(call, within, aligned)) {
    const result = await check()
    if ('done' in result) return result.done
    pending = result.pending
    call.progress(step, pending)
  }
  const minutes = Math.round(within / 60_000)
  throw new UserError('failed', `cannot ${step} within ${minutes} minutes: ${pending}`)
}
