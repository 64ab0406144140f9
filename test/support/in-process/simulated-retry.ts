import { setImmediate } from 'node:timers/promises'
import type * as real from '../../../src/os/retry.ts'

/** Number of attempts: the simulation makes changes immediately, or a few requests later. */
const attempts = 30

/** {@link real.poll}, limited by the number of attempts instead of by time, for simulated engines on slow computers. */
export const poll = (async (
  check: () => Promise<unknown>,
  { signal, otherwise }: { readonly signal?: AbortSignal; readonly otherwise?: () => unknown },
) => {
  for (let count = 0; count < attempts; count += 1) {
    signal?.throwIfAborted()
    const result = await check()
    if (result !== undefined) return result
    await setImmediate()
  }
  return otherwise?.()
}) as typeof real.poll

/** {@link real.retry} with one attempt. */
export const retry: typeof real.retry = (work) => work()
