import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Progress } from '../../../src/os/progress.ts'
import { openProgress, withProgress } from '../../../src/ui/progress/progress.ts'
import { type Terminal, pipeIo, terminalIo } from '../../support/fake-io.ts'
import { makeGate as makeDeferred } from '../../support/deferred.ts'

const text = { json: false }
const names = (count: number) => Array.from({ length: count }, (_, index) => `web-${index + 1}`)

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1000)

/** Starts tracked work whose steps and result the test controls. */
function led(display: Awaited<ReturnType<typeof openProgress>>, subject: string) {
  let report: Progress | undefined
  const { promise, resolve, reject } = makeDeferred()
  const ended = display.track(subject, (progress) => {
    report = progress
    return promise
  })
  ended.catch(() => {})
  const end = async (settle: () => void) => {
    settle()
    await ended.catch(() => {})
  }
  return {
    step: (step: string, detail?: string) => report?.(step, detail),
    end: () => end(resolve),
    fail: () => end(() => reject(new Error('no'))),
  }
}

describe('progress in a pipe', () => {
  test('prints each step on a line, and the duration of a long step when it ends', async () => {
    const { io, said } = pipeIo()
    await withProgress(io, text, 'web-1', async (progress) => {
      progress('check')
      progress('boot', 'asked for')
      pass(3)
      progress('log in')
    })
    expect(said()).toEqual([
      'web-1: check',
      'web-1: boot: asked for',
      'web-1: boot (3s)',
      'web-1: log in',
    ])
  })

  test('repeats a running step every ten seconds, with or without new details', async () => {
    const { io, said } = pipeIo()
    await withProgress(io, text, 'web-1', async (progress) => {
      progress('boot')
      pass(11)
      progress('boot', 'refused')
      pass(1)
      progress('boot', 'no login')
      pass(10)
      pass(10)
    })
    expect(said()).toEqual([
      'web-1: boot',
      'web-1: boot (10s)',
      'web-1: boot: no login (20s)',
      'web-1: boot: no login (30s)',
      'web-1: boot (32s)',
    ])
  })

  test('reports for each of several machines when it is done, or at which step it failed', async () => {
    const { io, said } = pipeIo()
    using display = await openProgress(io, text, names(2))
    const [first, second] = names(2).map((name) => led(display, name))
    first?.step('boot')
    second?.step('boot')
    pass(5)
    await second?.fail()
    pass(1)
    await first?.end()
    pass(60)
    second?.step('said too late')
    expect(said()).toEqual([
      'web-1: boot',
      'web-2: boot',
      'web-2: failed: boot (5s)',
      'web-1: boot (6s)',
      'web-1: done (6s)',
    ])
  })
})

test('progress with --json consists of events, which are repeated for a running step', async () => {
  const { io, said } = pipeIo()
  using display = await openProgress(io, { json: true }, names(2))
  const [first, second] = names(2).map((name) => led(display, name))
  first?.step('boot')
  second?.step('check')
  first?.step('boot', 'one')
  first?.step('boot', 'two')
  pass(2)
  await second?.fail()
  pass(10)
  await first?.end()
  const events = said().map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(events.every(({ time }) => !Number.isNaN(Date.parse(String(time))))).toBe(true)
  expect(events.map(({ time: _, ...event }) => event)).toEqual([
    { event: 'step', machine: 'web-1', step: 'boot', seconds: 0 },
    { event: 'step', machine: 'web-2', step: 'check', seconds: 0 },
    { event: 'step', machine: 'web-1', step: 'boot', detail: 'two', seconds: 1 },
    { event: 'failed', machine: 'web-2', step: 'check', seconds: 2 },
    { event: 'step', machine: 'web-1', step: 'boot', detail: 'two', seconds: 11 },
    { event: 'ended', machine: 'web-1', seconds: 12 },
  ])
})

/** Returns the lines of the screen, with a tilde instead of the spinner. */
const linesOf = async ({ screen }: Terminal): Promise<string[]> =>
  (await screen()).map((line) => line.replace(/^[⠀-⣿] /, '~ '))

describe('progress on a terminal', () => {
  test('keeps the steps of a single machine with their durations, and updates the running one', async () => {
    const terminal = terminalIo()
    using display = await openProgress(terminal.io, text, ['web-1'])
    const work = led(display, 'web-1')
    work.step('check')
    work.step('boot', 'refused')
    pass(12)
    expect(await linesOf(terminal)).toEqual(['✔ web-1: check', '~ web-1: boot: refused 12s'])
    work.step('log in')
    pass(2)
    await work.fail()
    expect(await linesOf(terminal)).toEqual([
      '✔ web-1: check',
      '✔ web-1: boot 12s',
      '✖ web-1: log in 2s',
    ])
  })

  test('shows one line per machine, which remains when they are finished', async () => {
    const terminal = terminalIo()
    using display = await openProgress(terminal.io, text, ['web-1', 'db'])
    const [web, db] = ['web-1', 'db'].map((name) => led(display, name))
    web?.step('boot')
    db?.step('check')
    pass(1)
    db?.step('boot')
    pass(2)
    expect(await linesOf(terminal)).toEqual(['~ web-1: boot 3s', '~ db:    boot 2s'])
    await web?.fail()
    expect(await linesOf(terminal)).toEqual(['✖ web-1: boot 3s', '~ db:    boot 2s'])
    await db?.end()
    expect(await linesOf(terminal)).toEqual([
      '✖ web-1: boot 3s',
      '✔ db:    check 1s, boot 2s, 3s in total',
    ])
  })

  test('truncates text to a narrow window, but not the duration, and draws no line twice', async () => {
    const terminal = terminalIo({ columns: 24 })
    using display = await openProgress(terminal.io, text, ['web-1', 'web-2'])
    const [first, second] = names(2).map((name) => led(display, name))
    first?.step('wait until it lets fleet in', 'connection refused')
    second?.step('boot')
    pass(25)
    expect(await linesOf(terminal)).toEqual(['~ web-1: wait unti… 25s', '~ web-2: boot 25s'])
    await first?.end()
    await second?.end()
    expect(await terminal.screen()).toHaveLength(2)
  })

  test('counts the machines that do not fit on the screen, and lists all of them at the end', async () => {
    const terminal = terminalIo({ rows: 6 })
    using display = await openProgress(terminal.io, text, names(9))
    const works = names(9).map((name) => led(display, name))
    for (const work of works) work.step('boot')
    pass(3)
    const seen = await linesOf(terminal)
    expect(seen).toHaveLength(5)
    expect(seen.slice(-2)).toEqual(['~ web-4: boot 3s', '… and 5 more'])
    for (const work of works) await work.end()
    expect(await terminal.screen()).toEqual(names(9).map((name) => `✔ ${name}: boot 3s`))
  })

  test('pauses during a prompt, and shows afterward what ended during the prompt', async () => {
    const terminal = terminalIo()
    const { io } = terminal
    using display = await openProgress(io, text, ['web-1', 'db'])
    const [web, db] = ['web-1', 'db'].map((name) => led(display, name))
    web?.step('boot')
    db?.step('boot')
    pass(1)
    const asked = makeDeferred()
    const answer = io.screen.ask(() => {
      io.stderr.raw.write('Go on? ')
      return asked.promise
    })
    await vi.waitFor(async () => expect(await terminal.screen()).toEqual(['Go on?']), 120_000)
    pass(5)
    await web?.end()
    expect(await terminal.screen()).toEqual(['Go on?'])
    io.stderr.raw.write('yes\n')
    asked.resolve()
    await answer
    expect(await linesOf(terminal)).toEqual(['Go on? yes', '✔ web-1: boot 6s', '~ db:    boot 6s'])
  })
})

test('prompts are shown one after another', async () => {
  const { io } = pipeIo()
  const order: string[] = []
  const first = makeDeferred()
  const both = Promise.allSettled([
    io.screen.ask(async () => {
      order.push('first')
      await first.promise
      throw new Error('no answer')
    }),
    io.screen.ask(async () => void order.push('second')),
  ])
  await Promise.resolve()
  first.resolve()
  expect((await both).map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  expect(order).toEqual(['first', 'second'])
})

const compare = async (progress: Progress) => progress('compare')

test('with --json, work that is not for a single machine is reported as a task', async () => {
  const { io, said } = pipeIo()
  await withProgress(io, { json: true }, 'plan', compare, { isMachine: false })
  await withProgress(io, { json: true }, 'web-1', compare)
  const events = said().map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(events.map(({ event, machine, task }) => ({ event, machine, task }))).toEqual([
    { event: 'step', machine: undefined, task: 'plan' },
    { event: 'ended', machine: undefined, task: 'plan' },
    { event: 'step', machine: 'web-1', task: undefined },
    { event: 'ended', machine: 'web-1', task: undefined },
  ])
})
