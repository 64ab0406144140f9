import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createClock } from '../../../src/operations/clock.ts'
import { inOrder } from '../../../src/operations/machine/in-order.ts'
import { reportUnanswered } from '../../../src/ui/progress/waiting.ts'
import { collect } from '../../support/collect.ts'
import { pipeIo } from '../../support/fake-io.ts'

async function* arrivals() {
  for (const machine of ['c', 'a', 'd', 'b']) yield await Promise.resolve({ machine })
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

test('a paused clock keeps the remaining time of its timers, and can be paused again', () => {
  const clock = createClock()
  const expire = vi.fn<() => void>()
  const never = vi.fn<() => void>()
  clock.start(1000, expire)
  clock.start(1000, never)()
  vi.advanceTimersByTime(600)
  for (const pause of [10_000, 5000]) {
    clock.pause()
    clock.pause()
    vi.advanceTimersByTime(pause)
    expect(clock.now()).toBe(600)
    clock.resume()
    clock.resume()
  }
  clock.pause()
  clock.start(100, () => {})
  clock.resume()
  vi.advanceTimersByTime(399)
  expect(expire).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(expire).toHaveBeenCalledTimes(1)
  expect(never).not.toHaveBeenCalled()
})

test('unanswered machines are reported after some seconds and again, but not while a prompt is open', () => {
  const { io, said } = pipeIo()
  const clock = createClock()
  const names = ['web-1', 'web-2', 'web-3', 'db']
  const waiting = reportUnanswered(io, { json: false }, names, clock)
  vi.advanceTimersByTime(2000)
  clock.pause()
  vi.advanceTimersByTime(60_000)
  clock.resume()
  expect(said()).toEqual([])
  vi.advanceTimersByTime(1000)
  waiting.done('db')
  vi.advanceTimersByTime(10_000)
  for (const name of names) waiting.done(name)
  vi.advanceTimersByTime(60_000)
  expect(said()).toEqual(['waiting for web-1..web-3, db', 'waiting for web-1..web-3'])
  waiting[Symbol.dispose]()
})

test('inOrder yields results in the order of the machines, as soon as that order allows', async () => {
  const seen: string[] = []
  const ordered = inOrder(['a', 'b', 'c', 'd'], arrivals())
  seen.push((await ordered.next()).value?.machine ?? '')
  expect(seen).toEqual(['a'])
  expect((await collect(ordered)).map(({ machine }) => machine)).toEqual(['b', 'c', 'd'])
})
