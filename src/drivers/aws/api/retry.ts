import { setTimeout as pause } from 'node:timers/promises'
import { UserError } from '../../../errors.ts'
import type { Call } from '../../driver.ts'

/** How long to rest, of at most so many milliseconds. */
type RestFor = (longest: number) => number

/** Less a random part, so that hosts made together do not ask together. */
const random: RestFor = (longest) => longest * (0.5 + Math.random() / 2)

/** Until a moment that all who rest as long share, and those who rest twice as long: what they ask then is put into one request. */
const aligned: RestFor = (longest) => {
  const now = performance.now()
  return Math.ceil((now + longest / 4) / longest) * longest - now
}

/** Rests half a second at first, four in the end. */
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

/** Does `work` until it does not throw, or throws what will not pass, or a minute is over (`within`, in milliseconds). */
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

/** What a look at something awaited has seen: that it is there, or what it is until then. */
export type Look<Value> = { readonly done: Value } | { readonly still: string }

/** Looks until it is done, and tells at each look what is waited for. Throws kind `failed` after `within` milliseconds. */
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
