import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Call, Driver, HostFacts } from '../../../src/drivers/driver.ts'
import { qemuDriver } from '../../../src/drivers/qemu/driver.ts'
import { type QemuOptions, qemuOptions } from '../../../src/drivers/qemu/options.ts'
import { UserError } from '../../../src/errors.ts'
import { mergeResources, type HostRecord } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { run } from '../../../src/transport/run.ts'
import { connectSsh } from '../../../src/transport/ssh/connect.ts'
import { makeDyingPrograms } from '../../support/crash/dying-programs.ts'
import { emulatorsOn } from '../../support/process/emulators.ts'
import {
  type GuestSeed,
  guestBuildTime,
  guestIsHere,
  seedGuest,
  smallGuest,
} from '../../support/small-guest.ts'
import { tokenOf } from '../../support/token-of.ts'

const signal = new AbortController().signal
const call: Call = { signal, progress: () => {} }
const options = qemuOptions.parse({ accelerator: 'tcg', memory: 128, cpus: 1, disk: 1 })

const script = fileURLToPath(new URL('../../support/crash/qemu-making.ts', import.meta.url))
const runner = join(import.meta.dirname, '../../../scripts/run-ts.mjs')

let folder: string
let image: string
let driver: Driver<QemuOptions>

/** Creates a guest. Resolves to its record, facts and login data. */
async function make(name: string, wished = options) {
  const token = tokenOf(name)
  const tags = { 'fleet:id': '00000000', 'fleet:token': token }
  const wish = { name: name as MachineName, token, tags, resources: {} }
  const plan = await driver.lifecycle?.plan(wish, wished, call)
  if (plan === undefined) throw new Error('no plan')
  const seed = seedGuest(image, plan.user)
  const facts = await plan.make({ ...seed, record: async () => {} }, call)
  const record: HostRecord = {
    phase: 'ready',
    token,
    ...facts,
    resources: mergeResources({}, plan.resources),
  }
  return { record, seed, facts }
}

/** Runs one command on a new connection, because the guest's sshd supports only one session per connection. */
async function on(
  { facts, seed }: { facts: HostFacts; seed: GuestSeed },
  ...command: string[]
): Promise<string> {
  const file = join(folder, `${facts.id}.key`)
  await writeFile(file, seed.login.privateKey, { mode: 0o600 })
  const { address = '', port = 0, user = '' } = facts
  const login = { address, port, user, hostKeys: [seed.hostKey.publicKey], identityFiles: [file] }
  for (const deadline = Date.now() + 1_200_000; ;) {
    try {
      await using transport = await connectSsh(
        { machine: 'guest', ...login },
        { signal, env: {}, connectTimeoutMs: 60_000 },
      )
      return (await run(transport, command, { signal })).stdout.trim()
    } catch (error) {
      const waits = error instanceof UserError && error.kind === 'unreachable'
      if (!waits || Date.now() > deadline) throw error
    }
  }
}

const remove = async (record: HostRecord): Promise<void> => driver.lifecycle?.remove(record, call)

const state = async (record: HostRecord): Promise<string | undefined> =>
  (await driver.observe(new Map([['m' as MachineName, record]]), call)).get('m' as MachineName)
    ?.state

describe.skipIf(!guestIsHere)('a QEMU virtual machine', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-qemu-'))
    image = await smallGuest()
    driver = qemuDriver(folder, process.env)
  }, guestBuildTime)
  afterAll(() => rm(folder, { recursive: true }))

  test('accepts its user, and keeps its port, its disk and, with a snapshot, its memory', async () => {
    const guest = await make('life')
    const { record } = guest
    expect(await on(guest, 'sh', '-c', 'id -un; echo kept >kept; echo warm >/tmp/warm; sync')).toBe(
      'fleet',
    )
    await driver.snapshots?.save(record, 'warm', call)
    await driver.power?.stop(record, call)
    expect(await state(record)).toBe('stopped')
    await driver.power?.start(record, call)
    expect(await on(guest, 'sh', '-c', 'cat kept; cat /tmp/warm || echo cold')).toBe('kept\ncold')
    await driver.snapshots?.restore(record, 'warm', call)
    expect(await on(guest, 'cat', '/tmp/warm')).toBe('warm')
    await driver.power?.kill(record, call)
    expect(await state(record)).toBe('stopped')
    await driver.lifecycle?.remove(record, call)
    expect(await state(record)).toBe('absent')
    expect(await readdir(join(folder, 'bases'))).toEqual([])
  })

  test('is one of five independent ones that are created concurrently', async () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const guests = await Promise.all(names.map((name) => make(`five-${name}`)))
    expect(new Set(guests.map(({ facts }) => facts.port)).size).toBe(5)
    const users = await Promise.all(guests.map((guest) => on(guest, 'id', '-un')))
    expect(users).toEqual(names.map(() => 'fleet'))
    await Promise.all(guests.map(({ record }) => remove(record)))
    expect(await driver.lifecycle?.list({ id: '00000000', options: [] }, call)).toEqual([])
  })

  test('is finished or removed by the next command after a SIGKILL at any step', async () => {
    for (let step = 1, killed = true; killed; step++) {
      const token = tokenOf(`crash-${step}`)
      const words = [runner, script, folder, image, token, `${step}`]
      const child = spawn(process.execPath, words, { stdio: 'ignore' })
      const [code] = (await once(child, 'exit')) as [number | null]
      killed = code !== 0
      expect(killed || step > 5).toBe(true)
      const { record } = await make(`crash-${step}`)
      expect(await state(record)).toBe('running')
      await remove({ phase: 'creating', token })
    }
    expect(await readdir(join(folder, 'bases'))).toEqual([])
    const left = await readdir(join(folder, 'hosts'))
    expect(left.filter((name) => !name.endsWith('.lock'))).toEqual([])
  })

  test('exists once or not at all after a SIGKILL during any QEMU call', async () => {
    const programs = ['qemu-img', 'qemu-system-x86_64']
    for (let call = 1, killed = true; killed; call++) {
      const cases = (['before', 'after'] as const).flatMap((when) =>
        (['finished', 'undone'] as const).map(async (end) => {
          const name = `within-${call}-${when}-${end}`
          const env = await makeDyingPrograms(join(folder, name), programs, { call, when })
          const words = [runner, script, folder, image, tokenOf(name)]
          const child = spawn(process.execPath, words, { stdio: 'ignore', env })
          const [code] = (await once(child, 'exit')) as [number | null]
          const ran = end === 'finished' ? await state((await make(name)).record) : 'running'
          await remove({ phase: 'creating', token: tokenOf(name) })
          return { ran, killed: code !== 0 }
        }),
      )
      const outcomes = await Promise.all(cases)
      expect(outcomes.map(({ ran }) => ran)).toEqual(Array(4).fill('running'))
      killed = outcomes.some((outcome) => outcome.killed)
      expect(killed || call > 5).toBe(true)
    }
    expect(await readdir(join(folder, 'bases'))).toEqual([])
    expect(await readdir(join(folder, 'hosts'))).toEqual([])
    expect(await emulatorsOn(folder)).toEqual([])
  })

  test('has changed hardware after a stop, and a larger disk immediately', async () => {
    const guest = await make('reshape')
    const { record } = guest
    const script = 'grep -c "MemTotal: *2" /proc/meminfo; cat /sys/block/vda/size' // its kernel uses one processor
    const seen = () => on(guest, 'sh', '-c', script)
    const wanted = { ...options, cpus: 2, memory: 256, disk: 2 }
    const change = (only: readonly string[], to: QemuOptions) =>
      driver.update?.change(record, { options: to, only: new Set(only) }, call)
    const found = await driver.update?.compare(record, wanted, { state: 'running' }, call)
    expect(found).toEqual([
      { option: 'cpus', from: '1', to: '2', how: 'stop' },
      { option: 'memory', from: '128', to: '256', how: 'stop' },
      { option: 'disk', from: '1', to: '2', how: 'live' },
    ])
    expect(await seen()).toBe('0\n2097152')
    await change(['disk'], wanted)
    expect(await seen()).toBe('0\n4194304')
    await change(['cpus', 'memory', 'disk'], { ...wanted, disk: 3 })
    expect(await state(record)).toBe('stopped')
    await driver.power?.start(record, call)
    expect(await seen()).toBe('1\n6291456')
    const smaller = await driver.update?.compare(record, wanted, { state: 'running' }, call)
    expect(smaller).toMatchObject([{ option: 'disk', from: '3', to: '2', how: 'replace' }])
    await remove(record)
  })

  test('on another computer is reported as such', async () => {
    const record: HostRecord = {
      ...{ phase: 'ready', token: tokenOf('far'), id: 'x' },
      resources: { computer: 'somewhere-else' },
    }
    expect(await state(record)).toBe('unknown')
    const message = 'the virtual machine exists only on the computer somewhere-else'
    await expect(driver.power?.start(record, call)).rejects.toThrow(message)
    await expect(driver.lifecycle?.remove(record, call)).rejects.toThrow(message)
  })

  test('reports that its port is in use, and starts once the port is free', async () => {
    const { record, facts } = await make('port')
    await driver.power?.kill(record, call)
    const squatter: ChildProcess = spawn('python3', [
      '-c',
      `import socket,time; s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(("127.0.0.1",${facts.port})); s.listen(); print(1,flush=True); time.sleep(60)`,
    ])
    if (squatter.stdout) await once(squatter.stdout, 'data')
    await expect(driver.power?.start(record, call)).rejects.toThrow(`:${facts.port}`)
    squatter.kill('SIGKILL')
    await once(squatter, 'exit')
    await driver.power?.start(record, call)
    expect(await state(record)).toBe('running')
    await driver.lifecycle?.remove(record, call)
  })
})
