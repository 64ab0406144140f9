import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { settled } from '../../../../src/operations/top/watch-machine.ts'
import { makeGate } from '../../../support/deferred.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('combines simultaneous changes into one request, and repeats a request if changes arrive during it', async () => {
  const answers = [makeGate(), makeGate()]
  let lists = 0
  const listSoon = settled(
    () => answers[lists++]?.promise ?? Promise.resolve(),
    new AbortController().signal,
  )
  listSoon()
  listSoon()
  await vi.advanceTimersByTimeAsync(1000)
  expect(lists).toBe(1)
  listSoon()
  await vi.advanceTimersByTimeAsync(1000)
  expect(lists).toBe(1)
  answers[0]?.resolve()
  await vi.advanceTimersByTimeAsync(1000)
  expect(lists).toBe(2)
  answers[1]?.reject(new Error('the engine is busy'))
  await vi.advanceTimersByTimeAsync(1000)
  listSoon()
  await vi.advanceTimersByTimeAsync(1000)
  expect(lists).toBe(3)
})
