import { UserError } from '../../../errors.ts'
import { poll, retry as retryWhen } from '../../../os/retry.ts'
import type { Call } from '../../driver.ts'

/** The first and the longest pause between attempts, in milliseconds. */
const pauses = { pauseMs: 500, longestMs: 4_000 }

/** Shortens a pause at random, so that hosts created together do not send their requests at the same time. */
const withJitter = (ms: number): number => ms * (0.5 + Math.random() / 2)

/**
 * Adjusts a pause to end at a multiple of its length, so that waiting hosts poll together and their
 * requests are combined.
 */
const aligned = (ms: number): number => {
  const now = performance.now()
  return Math.ceil((now + ms / 4) / ms) * ms - now
}

/**
 * Repeats `work` until it succeeds, throws an error that is not transient, or `within` milliseconds
 * (default: one minute) have passed.
 */
export const retry = <Value>(
  { signal }: Call,
  isTransient: (error: unknown) => boolean,
  work: () => Promise<Value>,
  within = 60_000,
): Promise<Value> =>
  retryWhen(work, {
    canRetry: isTransient,
    signal,
    ...pauses,
    withinMs: within,
    jitter: withJitter,
  })

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
  const look = async () => {
    const result = await check()
    if ('done' in result) return result
    pending = result.pending
    call.progress(step, pending)
    return undefined
  }
  const { done } = await poll(look, {
    signal: call.signal,
    ...pauses,
    withinMs: within,
    jitter: aligned,
    otherwise: () => {
      const minutes = Math.round(within / 60_000)
      throw new UserError('failed', `could not ${step} within ${minutes} minutes: ${pending}`)
    },
  })
  return done
}
