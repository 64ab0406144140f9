import { setTimeout as sleep } from 'node:timers/promises'

/** The pauses between attempts, and the time limit. */
export interface Pacing {
  /** Aborting ends the wait and throws the abort reason. */
  readonly signal?: AbortSignal | undefined
  /** The first pause in milliseconds. Each later pause is twice as long, up to `longestMs`. */
  readonly pauseMs: number
  /** The longest pause in milliseconds (default: `pauseMs`, so that all pauses are the same). */
  readonly longestMs?: number
  /** The time limit in milliseconds, at which the last attempt starts (default: no limit). */
  readonly withinMs?: number
  /** Adjusts a pause, for example randomly, to keep processes that started together from staying in step. */
  readonly jitter?: (ms: number) => number
}

/** Waits for `ms` milliseconds. Throws the abort reason if `signal` is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  // Each pause uses a separate signal, because Node.js warns if one signal has many listeners.
  const options = signal && { signal: AbortSignal.any([signal]) }
  await sleep(ms, undefined, options).catch(() => signal?.throwIfAborted())
}

/** Yields before each attempt, and returns when the time is up. */
async function* attempts(pacing: Pacing): AsyncGenerator<void, void> {
  const { signal, pauseMs, longestMs = pauseMs, withinMs = Infinity, jitter } = pacing
  const deadline = performance.now() + withinMs
  for (let ms = pauseMs; ; ms = Math.min(2 * ms, longestMs)) {
    yield
    const left = deadline - performance.now()
    if (left <= 0) return
    // A timer can fire up to a millisecond early, which would allow an extra attempt after the last one.
    await pause(Math.min(Math.ceil(left) + 1, jitter?.(ms) ?? ms), signal)
  }
}

/**
 * Repeats `work` until it succeeds. Throws the last error of `work` if `canRetry` returns false for it, if the signal
 * is aborted, or if the time is up.
 */
export async function retry<Value>(
  work: () => Promise<Value>,
  { canRetry, ...pacing }: Pacing & { readonly canRetry: (error: unknown) => boolean },
): Promise<Value> {
  let last: unknown
  for await (const _ of attempts(pacing)) {
    try {
      return await work()
    } catch (error) {
      if (pacing.signal?.aborted || !canRetry(error)) throw error
      last = error
    }
  }
  throw last
}

/** The pacing of {@link poll}. If it has a time limit, `otherwise` provides the result once the limit is reached. */
type PollPacing<Value> =
  | (Pacing & { readonly withinMs?: never })
  | (Pacing & { readonly withinMs: number; readonly otherwise: () => Value | Promise<Value> })

/** Repeats `check` until its result is not undefined. If the time is up, returns the result of `otherwise`. */
export async function poll<Value>(
  check: () => Promise<Value | undefined>,
  pacing: PollPacing<Value>,
): Promise<Value> {
  for await (const _ of attempts(pacing)) {
    const result = await check()
    if (result !== undefined) return result
  }
  if (pacing.withinMs === undefined) throw new Error('polling without a time limit must not end')
  return pacing.otherwise()
}
