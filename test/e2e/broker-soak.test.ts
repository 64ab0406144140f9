import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../support/lab/lab.ts'
import { type Person, makePerson, program } from '../support/person.ts'
import { hostOf } from '../support/ssh-target.ts'

/** How long the streams flow before anything happens to them: minutes, where somebody has them. */
const flowSeconds = Number(process.env['FLEET_SOAK_SECONDS'] ?? 5)

/** A stream that is followed. */
interface Followed {
  /** How much has come so far. */
  readonly bytes: () => number
  /** How it ended: what was said of it. */
  readonly ended: Promise<string>
}

/** An engine's own log stream, as an SDK reads it. */
async function followBySdk(socketPath: string): Promise<Followed> {
  const path = '/containers/app/logs?follow=1&stdout=1&tail=1'
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path, agent: false }, resolve).on('error', reject).end()
  })
  let bytes = 0
  answer.on('data', (chunk: Buffer) => (bytes += chunk.length))
  const failed = once(answer, 'error').then(([error]) => String(error))
  const closed = once(answer, 'close').then(() => 'closed')
  return { bytes: () => bytes, ended: Promise.race([failed, closed]) }
}

const descriptors = async (pid: number) => (await readdir(`/proc/${pid}/fd`)).length
const memory = async (pid: number) =>
  Number(/VmRSS:\s*(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])

/** The broker as it is when nothing runs through it but the engine's socket. */
async function settled(pid: number, atMost: number): Promise<void> {
  await expect.poll(() => descriptors(pid), { timeout: 20_000 }).toBeLessThanOrEqual(atMost)
}

describe.skipIf(!labIsHere)('many streams through the broker', () => {
  let lab: Lab
  let host: LabHost
  let ana: Person
  let socket: string

  beforeAll(async () => {
    lab = await startLab({ hosts: 1, engine: true, image: true })
    host = hostOf(lab)
    ana = await makePerson({ identity: lab.identity.file, broker: true })
    const adopt = ['adopt', `root@${host.address}`, '--name', 'h1', '--accept-new']
    expect(await ana.fleet(adopt)).toMatchObject({ code: 0 })
    const talk = 'while :; do echo a line that is logged; sleep 0.05; done'
    const run = await host.exec(`docker run -d --name app bb:1 sh -c '${talk}'`)
    expect(run.code).toBe(0)
    const { stdout } = await ana.fleet(['context', 'sync', '--json'])
    socket = (JSON.parse(stdout) as [{ host: string }])[0].host.replace('unix://', '')
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  const brokerPid = async (): Promise<number> =>
    (JSON.parse((await ana.fleet(['broker', 'status', '--json'])).stdout) as { pid: number }).pid
  function follow(command: string, ...args: readonly string[]): Followed {
    const child = spawn(command, args, { env: ana.env, cwd: ana.folder })
    let bytes = 0
    child.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length))
    const ended = Promise.all([once(child, 'close'), text(child.stderr)])
    return { bytes: () => bytes, ended: ended.then(([[code], said]) => `code ${code}: ${said}`) }
  }

  /** 30 streams that flow: docker's, an SDK's, and fleet's own. */
  async function followAll() {
    const docker = Array.from({ length: 4 }, () =>
      follow('docker', '-H', `unix://${socket}`, 'logs', '-f', '--tail', '1', 'app'),
    )
    const fleet = Array.from({ length: 4 }, () =>
      follow(process.execPath, program, '-m', 'h1', 'logs', '-f', '--tail', '1', 'app'),
    )
    const sdk = await Promise.all(Array.from({ length: 22 }, () => followBySdk(socket)))
    const all = [...docker, ...fleet, ...sdk]
    await expect.poll(() => all.every(({ bytes }) => bytes() > 0), { timeout: 30_000 }).toBe(true)
    return { all, fleet }
  }

  /** What becomes of 30 streams when `happen` does; all have ended after `withinMs`. */
  async function breakAll(happen: () => Promise<unknown>, withinMs: number): Promise<string[]> {
    const { all, fleet } = await followAll()
    await happen()
    const late = sleep(withinMs, 'still there', { ref: false })
    const ends = await Promise.all(all.map(({ ended }) => Promise.race([ended, late])))
    expect(ends).not.toContain('still there')
    return await Promise.all(fleet.map(({ ended }) => ended))
  }

  test(
    'each goes on, or ends with an error in time, and nothing is left of it',
    { timeout: flowSeconds * 1000 + 240_000 },
    async () => {
      await ana.fleet(['ssh', 'h1', 'true'])
      const pid = await brokerPid()
      await breakAll(() => host.exec("pkill -KILL -f '^sshd: root@'"), 5_000)
      await ana.fleet(['ps', '-m', 'h1'])
      await sleep(1_000)
      const [fds, kilobytes] = [await descriptors(pid), await memory(pid)]

      const { all } = await followAll()
      const before = all.map(({ bytes }) => bytes())
      await sleep(flowSeconds * 1000)
      for (const [index, { bytes }] of all.entries())
        expect(bytes()).toBeGreaterThan(before[index] ?? 0)

      for (const end of await breakAll(() => host.exec("pkill -KILL -f '^sshd: root@'"), 5_000)) {
        expect(end).toMatch(
          /^code [15]: [^]*the connection to (?:h1|the engine) (?:was lost|broke)/,
        )
      }
      await Promise.all(all.map(({ ended }) => ended))

      for (const end of await breakAll(() => host.drop(true), 16_000)) {
        expect(end).toMatch(
          /^code [15]: [^]*the connection to (?:h1|the engine) (?:was lost|broke)/,
        )
      }
      await host.drop(false)
      expect(await ana.fleet(['ps', '-m', 'h1'])).toMatchObject({ code: 0 })
      await sleep(1_000)
      await settled(pid, fds)
      expect(await memory(pid)).toBeLessThan(kilobytes + 60_000)

      for (const end of await breakAll(async () => process.kill(pid, 'SIGKILL'), 5_000)) {
        expect(end).toMatch(/^code [15]: [^]*(?:fleet's broker ended|broke)/)
      }
      expect(await ana.fleet(['ps', '-m', 'h1'])).toMatchObject({ code: 0 })
      const { all: again } = await followAll()
      expect(again).toHaveLength(30)

      const next = await brokerPid()
      process.kill(next, 'SIGSTOP') // it neither answers nor ends
      const began = performance.now()
      expect(await ana.fleet(['ssh', 'h1', 'hostname'])).toMatchObject({ code: 0, stdout: 'h1\n' })
      expect(performance.now() - began).toBeLessThan(15_000)
      process.kill(next, 'SIGCONT')
      await ana.fleet(['broker', 'stop'])
      await Promise.all(again.map(({ ended }) => ended))
    },
  )
})
