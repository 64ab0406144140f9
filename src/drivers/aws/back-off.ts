import { setTimeout as pause } from 'node:timers/promises'
import { UserError } from '../../errors.ts'
import type { Call } from '../driver.ts'

/** Rests half a second at first, five in the end, less a random part, so that hosts made together do not ask together. */
async function* rests({ signal }: Call, within: number): AsyncGenerator<void, void> {
  const deadline = performance.now() + within
  for (let longest = 500; ; longest = Math.min(longest * 1.6, 5_000)) {
    yield
    const left = deadline - performance.now()
    if (left <= 0) return
    const rest = Math.min(left, longest * (0.5 + Math.random() / 2))
    await pause(rest, undefined, { signal: AbortSignal.any([signal]) }).catch(() =>
      signal.throwIfAborted(),
    )
  }
}

/** Does `work` until it does not throw, or throws what will not pass, or a minute is over (`within`, in milliseconds). */
export async function retry<Value>(
  call: Call,
  isPassing: (error: unknown) => boolean,
  work: () => Promise<Value>,
  within = 60_000,
): Promise<Value> {
  let last: unknown
  for await (const _ of rests(call, within)) {
    try {
      return await work()
    } catch (error) {
      if (call.signal.aborted || !isPassing(error)) throw error
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
  for await (const _ of rests(call, within)) {
    const seen = await look()
    if ('done' in seen) return seen.done
    still = seen.still
    call.progress(step, still)
  }
  const minutes = Math.round(within / 60_000)
  throw new UserError('failed', `${step}: ${still}, after ${minutes} minutes`)
}
