import { type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Followed, followBy, followBySdk } from '../../support/log-follower.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'
import { descriptorsOf, figuresOf } from '../../support/process/process-figures.ts'
import { testIf } from '../../support/vitest/test-if.ts'

/** Duration of the undisturbed streams, in seconds. Set FLEET_SOAK_SECONDS to minutes for a long run. */
const flowSeconds = Number(process.env['FLEET_SOAK_SECONDS'] ?? 5)
/** Number of times that clients are started and killed. */
const cycles = Math.max(5, Math.round(flowSeconds / 20))
/** Size of the logs to read, in megabytes. */
const logMegabytes = Number(process.env['FLEET_SOAK_LOG_MB'] ?? 30)
/**
 * Time, in milliseconds, within which every stream must fail once its connection is silent (it counts as dead after 12
 * s).
 */
const silenceMs = 120_000

const lost = /^code [15]: [^]*the connection to (?:h1|the engine) was lost/

/** Prints figures if FLEET_SOAK_SECONDS is set. */
const tell = (what: string, figures: object) => {
  if (process.env['FLEET_SOAK_SECONDS']) console.info(what, JSON.stringify(figures))
}

/** Resolves to the durations of `count` successive runs, in milliseconds. */
async function times(count: number, run: () => Promise<void>): Promise<number[]> {
  const took: number[] = []
  for (let index = 0; index < count; index += 1) {
    const began = performance.now()
    await run()
    took.push(performance.now() - began)
  }
  return took
}

const quantiles = (took: readonly number[]) => {
  const sorted = took.toSorted((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0)
  return { count: took.length, median: at(0.5), most: at(0.95), max: at(1) }
}

/** Runs a program. Resolves to its exit code and the size of its output in bytes. */
async function collectSize(program: string, words: readonly string[], options: SpawnOptions) {
  const child = spawn(program, words, { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
  let size = 0
  child.stdout?.on('data', (chunk: Buffer) => (size += chunk.length))
  const [code] = (await once(child, 'close')) as [number]
  return { code, size }
}

/** Waits until all streams have new lines. Resolves to the gaps found in their lines. */
async function flows(all: readonly Followed[]): Promise<readonly string[]> {
  const before = all.map(({ lines }) => lines())
  const haveContinued = () => all.every(({ lines }, index) => lines() > (before[index] ?? 0) + 5)
  await expect.poll(haveContinued, { timeout: 120_000 }).toBe(true)
  return all.flatMap(({ gaps }) => gaps)
}

/** Checks that all streams end within `withinMs` milliseconds, each with the error expected for its kind. */
async function endClearly(
  what: string,
  all: readonly Followed[],
  withinMs: number,
  words = lost,
): Promise<void> {
  const began = performance.now()
  const late = sleep(withinMs, 'still there' as const, { ref: false })
  const ends = await Promise.all(all.map(({ ended }) => Promise.race([ended, late])))
  const took: Record<string, number> = {}
  const wanted: Readonly<Record<string, RegExp>> = {
    fleet: words,
    'fleet --all': /^code 1: [^]*h[12]: [^]*h[12]: /,
    sdk: /^Error: /,
  }
  for (const [index, end] of ends.entries()) {
    const { kind = '' } = all[index] ?? {}
    if (end === 'still there') throw new Error(`${what}: ${kind} is still there`)
    took[kind] = Math.max(took[kind] ?? 0, Math.round(end.at - began))
    expect(end.said).toMatch(wanted[kind] ?? /^code [^0]/)
  }
  tell(`${what}: ended after ms`, took)
  expect(all.flatMap(({ gaps }) => gaps)).toEqual([])
}

let lab: Lab
let hosts: readonly LabHost[]
beforeAll(async () => {
  if (!labIsHere) return
  lab = await startLab({ hosts: 2, engine: true, image: true })
  hosts = lab.hosts
  const talk = 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done'
  for (const host of hosts) {
    const run = await host.exec(`docker run -d --name app bb:1 sh -c '${talk}'`)
    expect(run).toMatchObject({ code: 0 })
  }
})
afterAll(async () => lab?.[Symbol.asyncDispose]())

const onAll = (act: (host: LabHost) => Promise<unknown>) => Promise.all(hosts.map(act))

const clients = ['builtin', 'openssh'] as const

describe.skipIf(!labIsHere).each(clients)('many broker streams with the client %s', (client) => {
  let ana: TestUser
  let socket: string
  /** Defines tests that do not depend on the client. */
  const testOnce = testIf(client === 'builtin')

  beforeAll(async () => {
    ana = await makeTestUser({ identity: lab.identity.file, broker: true, client })
    for (const host of hosts) {
      const adopt = ['adopt', `root@${host.address}`, '--name', host.name, '--accept-new']
      expect(await ana.fleet(adopt)).toMatchObject({ code: 0 })
    }
    const { stdout } = await ana.fleet(['context', 'sync', '--json'])
    const contexts = JSON.parse(stdout) as { name: string; host: string }[]
    socket = contexts.find(({ name }) => name === 'h1')?.host.replace('unix://', '') ?? ''
    expect(socket).not.toBe('')
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
  })

  async function brokerPid(): Promise<number> {
    expect(await ana.fleet(['ps', '--all'])).toMatchObject({ code: 0 })
    const { stdout } = await ana.fleet(['broker', 'status', '--json'])
    return (JSON.parse(stdout) as { pid: number }).pid
  }

  const by = (count: number, kind: string, argv: readonly string[]) =>
    Array.from({ length: count }, () => followBy(kind, argv, { env: ana.env, cwd: ana.folder }))

  /** Starts 30 streams: from fleet, from docker with a socket and with a context, and from an SDK. */
  async function followAll(): Promise<readonly Followed[]> {
    const logs = ['logs', '-f', '--tail', '1', 'app']
    const all = [
      ...by(5, 'fleet', [program, '-m', 'h1', ...logs]),
      ...by(3, 'fleet --all', [program, '--all', ...logs]),
      ...by(4, 'docker -H', ['docker', '-H', `unix://${socket}`, ...logs]),
      ...by(4, 'docker --context', ['docker', '--context', 'h1', ...logs]),
      ...(await Promise.all(Array.from({ length: 14 }, () => followBySdk(socket, 'app')))),
    ]
    await expect.poll(() => all.every(({ lines }) => lines() > 1), { timeout: 120_000 }).toBe(true)
    return all
  }

  async function dockerPs(): Promise<void> {
    const [docker] = by(1, 'docker', ['docker', '--context', 'h1', 'ps', '-q'])
    expect((await docker?.ended)?.said).toBe('code 0: ')
  }

  /** Checks that new commands work immediately. */
  async function worksAgain(): Promise<void> {
    const [docker] = by(1, 'docker', ['docker', '--context', 'h1', 'ps', '-q'])
    expect(await ana.fleet(['ssh', 'h1', 'hostname'])).toMatchObject({ code: 0, stdout: 'h1\n' })
    expect(await ana.fleet(['ps', '--all'])).toMatchObject({ code: 0 })
    expect((await docker?.ended)?.said).toBe('code 0: ')
  }

  test(
    'continue for a long time, and leave nothing behind although clients die',
    async () => {
      const pid = await brokerPid()
      const die = async () => {
        const all = await followAll()
        for (const { kill } of all) kill()
        await Promise.all(all.map(({ ended }) => ended))
      }
      const breakOff = async () => {
        const all = await followAll()
        await onAll((host) => host.exec("pkill -KILL -f '^sshd: root@'"))
        await endClearly('sessions killed', all, 120_000)
        await worksAgain()
      }
      const settled = async (atMost: number) =>
        expect.poll(() => descriptorsOf(pid), { timeout: 120_000 }).toBeLessThanOrEqual(atMost)
      for (let warm = 0; warm < 2; warm += 1) {
        await die()
        await breakOff()
      }
      await sleep(1_000)
      const before = await figuresOf(pid)

      const all = await followAll()
      const during = await figuresOf(pid)
      await sleep(flowSeconds * 1000)
      expect(await flows(all)).toEqual([])
      tell('flow: at the start, at the end', [during, await figuresOf(pid)])
      for (const { kill } of all) kill()

      for (let cycle = 0; cycle < cycles; cycle += 1) {
        await (cycle % 2 === 0 ? die() : breakOff())
        tell('cycle', await figuresOf(pid))
      }
      await settled(before.descriptors)
      const after = await figuresOf(pid)
      tell('before, after', [before, after])
      expect(after.memory).toBeLessThan(before.memory + 25_000)
    },
    flowSeconds * 1000 + cycles * 60_000 + 1_800_000,
  )

  testOnce(
    'continue while long logs are read, which do not delay other commands',
    async () => {
      const line =
        'a line of a log that is as long as the lines of the logs of most programs are, more or less'
      const print = `yes '${line}' | head -c ${logMegabytes * 1_000_000}`
      for (const host of hosts)
        expect(
          await host.exec(`docker run --name long bb:1 sh -c "${print}" >/dev/null`),
        ).toMatchObject({ code: 0 })
      const pid = await brokerPid()
      const before = await figuresOf(pid)
      const all = await followAll()
      const idle = await times(10, dockerPs)

      const logs = [
        ['-m', 'h1', 'logs', 'long'],
        ['--all', 'logs', 'long'],
        ['-m', 'h2', 'logs', '--json', 'long'],
      ].map((words) => collectSize(program, words, { env: ana.env, cwd: ana.folder }))
      const read = new AbortController()
      void Promise.allSettled(logs).then(() => read.abort())
      const busy: number[] = []
      const own: number[] = []
      let answered = 0
      while (!read.signal.aborted) {
        busy.push(...(await times(3, dockerPs)))
        if (!read.signal.aborted) answered += 3
        own.push(
          ...(await times(1, async () =>
            expect(await ana.fleet(['ps', '-m', 'h1'])).toMatchObject({ code: 0 }),
          )),
        )
      }
      for (const { code, size } of await Promise.all(logs)) {
        expect(code).toBe(0)
        expect(size).toBeGreaterThanOrEqual(logMegabytes * 1_000_000)
      }
      const during = await figuresOf(pid)
      expect(await brokerPid()).toBe(pid)
      expect(await flows(all)).toEqual([])
      tell('long logs: docker ps idle, busy; fleet ps; memory', {
        idle: quantiles(idle),
        busy: quantiles(busy),
        own: quantiles(own),
        before,
        during,
      })
      for (const { kill } of all) kill()
      expect(during.memory).toBeLessThan(before.memory + 100_000)
      // Other commands are answered before the logs have been read.
      expect(answered).toBeGreaterThanOrEqual(3)
    },
    1_800_000 + logMegabytes * 2_000,
  )

  testOnce(
    'of several machines continue when one is lost, which is reported immediately',
    async () => {
      const argv = [program, '--all', 'logs', '-f', '--tail', '1', 'app']
      const logs = followBy('fleet --all', argv, { env: ana.env, cwd: ana.folder })
      await expect.poll(() => logs.lines(), { timeout: 120_000 }).toBeGreaterThan(3)
      await lab.hosts[0]?.exec("pkill -KILL -f '^sshd: root@'")
      await expect
        .poll(() => logs.said(), { timeout: 120_000 })
        .toMatch(/1 of 2 machines failed\n  h1: /)
      expect(await flows([logs])).toEqual([])
      logs.kill()

      const watch = [program, '--all', 'events']
      const events = followBy('events', watch, { env: ana.env, cwd: ana.folder })
      const lose = async () => {
        await lab.hosts[0]?.exec("pkill -KILL -f '^sshd: root@'") // repeated until the stream has been connected
        return events.said()
      }
      const report = /1 of 2 machines failed\n  h1: /
      await expect.poll(lose, { timeout: 120_000, interval: 1_000 }).toMatch(report)
      events.kill()
    },
  )

  test('end when sshd is down, which is reported immediately, and work when it is back', async () => {
    const all = await followAll()
    await onAll((host) => host.killSshd())
    await endClearly('sshd killed', all, 120_000)
    for (let tries = 0; tries < 6; tries += 1) {
      const began = performance.now()
      const { code, stderr } = await ana.fleet(['logs', '-m', 'h1', 'app'])
      tell('sshd is down: reported after ms', { ms: Math.round(performance.now() - began) })
      expect(code).toBe(5)
      expect(stderr).toMatch(/h1[^]*refused/)
    }
    await expect(followBySdk(socket, 'app')).rejects.toThrow(/h1[^]*refused/)
    await onAll((host) => host.startSshd())
    const began = performance.now()
    await worksAgain()
    tell('sshd is back: works after ms', { ms: Math.round(performance.now() - began) })
    const again = await followAll()
    expect(await flows(again)).toEqual([])
    for (const { kill } of again) kill()
  })

  test('continue without a gap after a short packet loss, and end after a long one', async () => {
    const all = await followAll()
    await onAll((host) => host.drop(true))
    await sleep(5_000)
    await onAll((host) => host.drop(false))
    expect(await flows(all)).toEqual([])
    await onAll((host) => host.drop(true))
    await endClearly('link cut', all, silenceMs)
    await onAll((host) => host.drop(false))
    await worksAgain()
  })

  testOnce.each([
    {
      how: 'is killed',
      end: async (pid: number): Promise<unknown> => process.kill(pid, 'SIGKILL'),
    },
    { how: 'is stopped', end: () => ana.fleet(['broker', 'stop']) },
    {
      how: 'hangs and the next command detects it',
      end: async (pid: number) => {
        process.kill(pid, 'SIGSTOP')
        expect(await ana.fleet(['ps', '-m', 'h1'])).toMatchObject({ code: 0 })
      },
    },
    {
      how: 'hangs and is stopped',
      end: async (pid: number) => {
        process.kill(pid, 'SIGSTOP')
        expect(await ana.fleet(['broker', 'stop'])).toMatchObject({
          ...{ code: 0, stderr: 'killed the broker because it did not respond\n' },
        })
      },
    },
  ])('end when the broker $how, and a new broker replaces it', async ({ how, end }) => {
    const pid = await brokerPid()
    const all = await followAll()
    await end(pid)
    await endClearly(`the broker ${how}`, all, 120_000, /^code [15]: [^]*(?:broke|was lost)/)
    expect(await ana.fleet(['ps', '-m', 'h1'])).toMatchObject({ code: 0 })
    expect(await brokerPid()).not.toBe(pid)
    await worksAgain()
  })
})
