import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { createClock } from '../../../src/operations/clock.ts'
import { fanOut } from '../../../src/operations/fan-out/fan-out.ts'
import { collect } from '../../support/collect.ts'

const machines = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `m${index + 1}` }))

const never = new AbortController().signal

/** Work that ends when the test says so. */
function gated() {
  const started: string[] = []
  const gates = new Map<string, () => void>()
  const signals = new Map<string, AbortSignal>()
  const work = ({ name }: { name: string }, signal: AbortSignal) =>
    new Promise<string>((resolve) => {
      started.push(name)
      signals.set(name, signal)
      gates.set(name, () => resolve(name))
    })
  return { work, started, signals, open: (name: string) => gates.get(name)?.() }
}

describe('fanOut with a time limit', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('a machine that does not answer in time is told, also when the work heeds no signal', async () => {
    const { work, signals } = gated()
    const limit = { signal: never, timeLimit: { ms: 50, clock: createClock() } }
    const outcomes = collect(fanOut(machines(2), work, limit))
    await vi.advanceTimersByTimeAsync(49)
    expect(signals.get('m1')?.aborted).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(await outcomes).toMatchObject([
      { error: { kind: 'unreachable', machine: 'm1', message: 'no answer within 0.05 s' } },
      { error: { kind: 'unreachable', machine: 'm2' } },
    ])
    expect(signals.get('m1')?.aborted).toBe(true)
  })

  test('time stands still while a question is open', async () => {
    const clock = createClock()
    clock.pause()
    const { work, started, signals } = gated()
    const limit = { signal: never, timeLimit: { ms: 20, clock } }
    const outcomes = collect(fanOut(machines(2), work, limit))
    await vi.advanceTimersByTimeAsync(60)
    expect(started).toHaveLength(2)
    expect(signals.get('m1')?.aborted).toBe(false)
    clock.resume()
    await vi.advanceTimersByTimeAsync(20)
    expect(await outcomes).toMatchObject([{ error: { kind: 'unreachable' } }, { error: {} }])
  })
})

describe('fanOut', () => {
  test('yields outcomes as they come, and keeps those beside a failure', async () => {
    const { work, open } = gated()
    const failing = (machine: { name: string }, signal: AbortSignal) =>
      machine.name === 'm2'
        ? Promise.reject(new UserError('unreachable', 'refused'))
        : work(machine, signal)
    const seen: string[] = []
    for await (const outcome of fanOut(machines(3), failing, { signal: never })) {
      seen.push('error' in outcome ? outcome.error.message : outcome.value)
      if (seen.length === 1) open('m3')
      if (seen.length === 2) open('m1')
    }
    expect(seen).toEqual(['refused', 'm3', 'm1'])
  })

  test('works on no more machines at once than told', async () => {
    let running = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, (running += 1))
      await turn()
      running -= 1
    }
    const outcomes = await collect(fanOut(machines(50), work, { signal: never, concurrency: 7 }))
    expect([outcomes.length, most]).toEqual([50, 7])
  })

  test('a bug fails its machine alone and keeps its stack', async () => {
    const bug = new TypeError('x is undefined')
    const [outcome] = await collect(
      fanOut(machines(1), () => Promise.reject(bug), { signal: never }),
    )
    expect(outcome).toMatchObject({ error: { kind: 'bug', machine: 'm1', cause: bug } })
  })

  test('what the system says is no bug', async () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    const [outcome] = await collect(
      fanOut(machines(1), () => Promise.reject(reset), { signal: never }),
    )
    expect(outcome).toMatchObject({ error: { kind: 'failed', message: 'read ECONNRESET' } })
  })

  test('an abort throws its reason, stops the work, and starts no more', async () => {
    const { work, started, signals } = gated()
    const controller = new AbortController()
    const reason = new UserError('cancelled', 'stopped')
    const all = fanOut(machines(3), work, { signal: controller.signal, concurrency: 2 })
    const next = all.next()
    await turn()
    controller.abort(reason)
    await expect(next).rejects.toBe(reason)
    expect(started).toEqual(['m1', 'm2'])
    expect([...signals.values()].every(({ aborted }) => aborted)).toBe(true)
  })

  test('an abort before the start does nothing', async () => {
    const { work, started } = gated()
    const signal = AbortSignal.abort(new UserError('cancelled', 'stopped'))
    await expect(collect(fanOut(machines(3), work, { signal }))).rejects.toMatchObject({
      kind: 'cancelled',
    })
    expect(started).toEqual([])
  })

  test('leaving the loop stops the work under way', async () => {
    const { work, open, signals, started } = gated()
    for await (const _ of fanOut(machines(4), work, {
      signal: (setImmediate(() => open('m1')), never),
      concurrency: 2,
    })) {
      break
    }
    expect(signals.get('m2')?.aborted).toBe(true)
    await turn()
    expect(started.length).toBeLessThanOrEqual(3)
  })

  test('no machines, no outcomes', async () => {
    const outcomes = fanOut([], () => Promise.resolve(), { signal: never })
    expect(await collect(outcomes)).toEqual([])
  })
})
