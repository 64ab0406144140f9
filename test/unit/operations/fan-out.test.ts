import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { createClock } from '../../../src/operations/clock.ts'
import { fanOut } from '../../../src/operations/fan-out/fan-out.ts'
import { collect } from '../../support/collect.ts'

const machines = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `m${index + 1}` }))

const never = new AbortController().signal

/** Creates work for each machine; the work finishes when the test opens the machine's gate. */
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

  test('a machine that does not answer in time is reported, even if its work ignores the signal', async () => {
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

  test('the clock is paused while a prompt is open', async () => {
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
  test('yields outcomes as they arrive, and keeps those of other machines after a failure', async () => {
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

  test('works on at most the given number of machines at the same time', async () => {
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

  test('reports a bug for its machine only, and keeps its stack', async () => {
    const bug = new TypeError('x is undefined')
    const [outcome] = await collect(
      fanOut(machines(1), () => Promise.reject(bug), { signal: never }),
    )
    expect(outcome).toMatchObject({ error: { kind: 'bug', machine: 'm1', cause: bug } })
  })

  test('does not report a system error as a bug', async () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    const [outcome] = await collect(
      fanOut(machines(1), () => Promise.reject(reset), { signal: never }),
    )
    expect(outcome).toMatchObject({ error: { kind: 'failed', message: 'read ECONNRESET' } })
  })

  test('throws the reason of an abort, aborts the running work, and starts no more', async () => {
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

  test('does nothing if it is aborted before the start', async () => {
    const { work, started } = gated()
    const signal = AbortSignal.abort(new UserError('cancelled', 'stopped'))
    await expect(collect(fanOut(machines(3), work, { signal }))).rejects.toMatchObject({
      kind: 'cancelled',
    })
    expect(started).toEqual([])
  })

  test('aborts the running work when the loop is left', async () => {
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

  test('yields nothing for no machines', async () => {
    const outcomes = fanOut([], () => Promise.resolve(), { signal: never })
    expect(await collect(outcomes)).toEqual([])
  })
})
