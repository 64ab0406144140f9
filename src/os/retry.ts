import { setTimeout as sleep } from 'node:timers/promises'

/** The pauses between attempts, and the time limit. */
export interface Pacing {
  /** Aborting ends the wait; the reason of the signal is thrown. */
  readonly signal?: AbortSignal | undefined
  /** The first pause in milliseconds. Each later pause is twice as long, up to `longestMs`. */
  readonly pauseMs: number
  /** The longest pause in milliseconds (default: `pauseMs`, so that all pauses are the same). */
  readonly longestMs?: number
  /** The last attempt starts after this many milliseconds (default: no limit). */
  readonly withinMs?: number
  /** Changes a pause, for example at random, so that processes that started together do not stay in step. */
  readonly jitter?: (ms: number) => number
}

/** Waits for `ms` milliseconds. Throws the reason of the signal if it is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  // Each pause has a separate signal: Node.js warns about many listeners of one signal.
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
    // A timer can fire up to a millisecond early, which would allow one more attempt after the last.
    await pause(Math.min(Math.ceil(left) + 1, jitter?.(ms) ?? ms), signal)
  }
}

/**
 * Repeats `work` until it succeeds. Throws the error of `work` if `canRetry` is false for it, if the signal is aborted,
 * or if the time is up.
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

/** The pacing of {@link poll}. With a time limit, `otherwise` returns the result if the limit is reached. */
type PollPacing<Value> =
  | (Pacing & { readonly withinMs?: never })
  | (Pacing & { readonly withinMs: number; readonly otherwise: () => Value | Promise<Value> })

/** Repeats `check` until its result is not undefined. If the time is up, the result is that of `otherwise`. */
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
