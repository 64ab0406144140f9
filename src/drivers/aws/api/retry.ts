import { setTimeout as pause } from 'node:timers/promises'
import { UserError } from '../../../errors.ts'
import type { Call } from '../../driver.ts'

/** Returns a pause of at most `longest` milliseconds. */
type RestFor = (longest: number) => number

/** Jitter, so that hosts that are created together do not send requests together. */
const random: RestFor = (longest) => longest * (0.5 + Math.random() / 2)

/**
 * Ends at a multiple of the interval that all waiting hosts share, so that their requests are
 * combined.
 */
const aligned: RestFor = (longest) => {
  const now = performance.now()
  return Math.ceil((now + longest / 4) / longest) * longest - now
}

/** Yields before each attempt, with pauses that grow from half a second to four seconds. */
async function* rests(
  { signal }: Call,
  within: number,
  restFor: RestFor,
): AsyncGenerator<void, void> {
  const deadline = performance.now() + within
  for (let longest = 500; ; longest = Math.min(longest * 2, 4_000)) {
    yield
    const left = deadline - performance.now()
    if (left <= 0) return
    const rest = Math.min(left, restFor(longest))
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
  for await (const _ of rests(call, within, random)) {
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
export type Look<Value> = { readonly done: Value } | { readonly still: string }

/**
 * Polls until there is a value, and reports the state after each poll. Throws kind `failed` after
 * `within` milliseconds.
 */
export async function waitUntil<Value>(
  call: Call,
  step: string,
  look: () => Promise<Look<Value>>,
  within = 600_000,
): Promise<Value> {
  let still = ''
  for await (const _ of rests(call, within, aligned)) {
    const seen = await look()
    if ('done' in seen) return seen.done
    still = seen.still
    call.progress(step, still)
  }
  const minutes = Math.round(within / 60_000)
  throw new UserError('failed', `${step}: ${still}, after ${minutes} minutes`)
}
