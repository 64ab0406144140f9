import { describe, expect, test } from 'vitest'
import { pause, poll, retry } from '../../../src/os/retry.ts'

/** Returns work that fails the first `times` times. */
function failing(times: number) {
  let calls = 0
  return {
    calls: () => calls,
    work: async () => {
      calls += 1
      if (calls <= times) throw new Error(`failure ${calls}`)
      return `done after ${calls}`
    },
  }
}

/** Returns a `jitter` function that records pauses and makes them zero. */
function recordPauses() {
  const pauses: number[] = []
  const jitter = (ms: number) => {
    pauses.push(ms)
    return 0
  }
  return { pauses, jitter }
}

const always = { canRetry: () => true }

describe('retry', () => {
  test('doubles the pause each time, up to the longest one', async () => {
    const { pauses, jitter } = recordPauses()
    const result = await retry(failing(5).work, {
      ...always,
      ...{ pauseMs: 10, longestMs: 50, jitter },
    })
    expect(result).toBe('done after 6')
    expect(pauses).toEqual([10, 20, 40, 50, 50])
  })

  test('keeps the pause constant without a longest one', async () => {
    const { pauses, jitter } = recordPauses()
    await retry(failing(3).work, { ...always, pauseMs: 10, jitter })
    expect(pauses).toEqual([10, 10, 10])
  })

  test('stops at an error that cannot be retried', async () => {
    const { work, calls } = failing(9)
    const canRetry = () => calls() < 3
    await expect(retry(work, { canRetry, pauseMs: 0 })).rejects.toThrow('failure 3')
    expect(calls()).toBe(3)
  })

  test('tries once if there is no time, and throws the last error', async () => {
    const { work, calls } = failing(9)
    await expect(retry(work, { ...always, pauseMs: 10, withinMs: 0 })).rejects.toThrow('failure 1')
    expect(calls()).toBe(1)
  })

  test('tries once more if the time is up during a pause', async () => {
    const { work, calls } = failing(9)
    const pacing = { pauseMs: 1_000_000, withinMs: 1 }
    await expect(retry(work, { ...always, ...pacing })).rejects.toThrow('failure 2')
    expect(calls()).toBe(2)
  })

  test('stops during a pause with the reason of the signal', async () => {
    const stop = new AbortController()
    const canRetry = () => {
      setImmediate(() => stop.abort(new Error('interrupted')))
      return true
    }
    const pacing = { signal: stop.signal, pauseMs: 1_000_000 }
    await expect(retry(failing(9).work, { canRetry, ...pacing })).rejects.toThrow('interrupted')
  })
})

describe('poll', () => {
  test('returns the first value that is not undefined, even if it is false', async () => {
    const values = [undefined, undefined, false, true]
    await expect(poll(async () => values.shift(), { pauseMs: 0 })).resolves.toBe(false)
  })

  test('returns the fallback when the time is up', async () => {
    const pacing = { pauseMs: 10, withinMs: 0, otherwise: () => 'too late' }
    await expect(poll<string>(async () => undefined, pacing)).resolves.toBe('too late')
  })
})

test('many pauses on one signal cause no warning', async () => {
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  process.on('warning', note)
  const { signal } = new AbortController()
  await Promise.all(Array.from({ length: 30 }, () => pause(1, signal)))
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', note)
  expect(warnings).toEqual([])
})
