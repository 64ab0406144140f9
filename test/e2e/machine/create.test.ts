import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type ExampleCloud,
  installExampleDriver,
  startExampleCloud,
} from '../../support/external-driver/example-cloud.ts'
import { checkJsonOutput } from '../../support/json-output.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

// Output of creations with a provider whose servers accept no logins: up to the step that waits, and after an
// interruption.

/** The step at which all creations here wait. */
const waiting = 'wait for SSH'

let cloud: ExampleCloud
let ana: TestUser
let create: readonly string[]

beforeAll(async () => {
  cloud = await startExampleCloud()
})
afterAll(() => cloud[Symbol.dispose]())

beforeEach(async () => {
  ana = await makeTestUser()
  await installExampleDriver(ana)
  await ana.fleet(['trust', 'example'])
  create = ['--driver', 'example', '--zone', 'north', '--endpoint', cloud.endpoint]
})
afterEach(() => ana[Symbol.asyncDispose]())

const fleet = (...args: string[]) => ana.fleet(args, { env: cloud.env })

/** Runs fleet without a terminal, and interrupts it once it has printed `at` for the given number of machines. */
function fleetUntil(at: string, args: readonly string[], machines = 1) {
  let isStopped = false
  return ana.fleet(args, {
    env: cloud.env,
    said(stderr, pid) {
      const lines = stderr.split('\n').filter((line) => line.includes(at))
      const names = new Set(lines.map((line) => line.split(':')[0]))
      if (isStopped || names.size < machines) return
      isStopped = true
      process.kill(pid, 'SIGINT')
    },
  })
}

const phases = async (): Promise<Record<string, string>> => {
  const { stdout } = await fleet('ls', '--json')
  const rows = JSON.parse(stdout) as { name: string; phase: string }[]
  return Object.fromEntries(rows.map(({ name, phase }) => [name, phase]))
}

describe('interrupted without a terminal', () => {
  test('create leaves partly created machines, with hints to finish or remove them', async () => {
    const stopped = await fleetUntil(waiting, ['create', 'web', '--count', '2', ...create], 2)
    expect(stopped).toMatchObject({ code: 130, stdout: '' })
    expect(stopped.stderr).toContain('fleet create web-1 web-2')
    expect(stopped.stderr).toContain('fleet rm web-1 web-2')
    expect(await phases()).toEqual({ 'web-1': 'creating', 'web-2': 'creating' })
    expect(await cloud.things()).toHaveLength(4)

    const continued = await fleetUntil(waiting, ['create', 'web-1', 'web-2'], 2)
    expect(continued.code).toBe(130)
    expect(await cloud.things()).toHaveLength(4)

    const removed = await fleet('rm', '-y', 'web-1', 'web-2', '--json')
    expect(removed.code).toBe(0)
    expect(JSON.parse(removed.stdout)).toEqual([
      { name: 'web-1', hostRemoved: true },
      { name: 'web-2', hostRemoved: true },
    ])
    expect(await cloud.things()).toEqual([])
    expect(await phases()).toEqual({})
  })

  test('apply reports what it started, that it may cost money, and how to continue', async () => {
    const entry = `{ driver: example, options: { zone: north, endpoint: ${JSON.stringify(cloud.endpoint)} } }`
    const text = (await ana.inventory()).replace('machines: {}', `machines:\n  web-1: ${entry}`)
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    const stopped = await fleetUntil(waiting, ['apply', '--yes'])
    expect(stopped.code).toBe(130)
    expect(stopped.stderr).toContain(
      'cancelled: web-1 was only partly created and may cost money until removed\n' +
        '  to continue: fleet apply; to clean up: fleet rm web-1\n',
    )
    await fleet('rm', '-y', 'web-1')
  })

  test('create --rollback leaves nothing', async () => {
    const before = await ana.inventory()
    const stopped = await fleetUntil(waiting, ['create', 'web-1', '--rollback', ...create])
    expect(stopped.code).toBe(130)
    expect(await cloud.things()).toEqual([])
    expect(await ana.inventory()).toBe(before)
  })
})

const createOnTerminal = (answer: string) =>
  ana.fleetOnTerminal(
    ['create', 'web-1', ...create],
    [
      { at: waiting, type: '\u0003' },
      { at: 'Finish later, or remove now', type: answer },
    ],
    { env: cloud.env },
  )

describe('interrupted on a terminal', () => {
  test('create asks what to do, and Enter keeps the machine', async () => {
    const { code, screen } = await createOnTerminal('\r')
    expect(screen).toContain('fleet create web-1')
    expect(code).toBe(130)
    expect(await phases()).toEqual({ 'web-1': 'creating' })
    await fleet('rm', '-y', 'web-1')
  })

  test('create can remove the machine and leaves nothing', async () => {
    const before = await ana.inventory()
    const { code, screen } = await createOnTerminal('\u001B[B\r')
    expect(screen).toContain('cancelled: removed web-1')
    expect(code).toBe(130)
    expect(await cloud.things()).toEqual([])
    expect(await ana.inventory()).toBe(before)
  })
})

/** Writes the provider's endpoint into the defaults of the inventory. */
async function setDefaults(): Promise<void> {
  const defaults = `defaults: { example: { endpoint: ${JSON.stringify(cloud.endpoint)} } }\n`
  await writeFile(
    join(ana.folder, 'machines.yaml'),
    (await ana.inventory()).replace('machines: {}', `${defaults}machines: {}`),
  )
}

test('create prompts for driver, name and options with defaults, and prints the equivalent command', async () => {
  await setDefaults()
  await writeFile(
    join(ana.folder, 'machines.yaml'),
    (await ana.inventory()).replace(
      'machines: {}',
      'machines:\n  taken: { driver: ssh, options: { address: 192.0.2.1 }, host: { phase: ready, address: 192.0.2.1 } }',
    ),
  )
  const { code, screen } = await ana.fleetOnTerminal(
    ['create', '-l', 'owner=ana b', '--rollback'],
    [
      { at: 'Driver:', type: 'ex\r' },
      { at: 'Machine name:', type: '-\r' },
      { at: 'letter or digit', type: '\u007Ftaken\r' },
      { at: 'a machine named taken already exists', type: `${'\u007F'.repeat(5)}web-1\r` },
      { at: 'Zone of the server', type: '\u001B[B\r' },
      { at: 'Size of the server', type: '\r' },
      { at: 'Create this machine?', type: 'y\r' },
      { at: waiting, type: '\u0003' },
    ],
    { env: cloud.env },
  )
  expect(screen).toContain(
    "To run this without prompts: fleet create web-1 --driver example --zone south --label 'owner=ana b' --rollback",
  )
  expect(screen).toMatch(
    /New: web-1\r?\n {2}driver: example\r?\n {2}zone: south\r?\n {2}size: small\r?\nHosts on example cost money/,
  )
  expect(screen).not.toContain('optional')
  expect(code).toBe(130)
  expect(await cloud.things()).toEqual([])
})

test('create changes nothing if the last prompt is declined', async () => {
  await setDefaults()
  const before = await ana.inventory()
  const { code } = await ana.fleetOnTerminal(
    ['create', 'web-1', '--driver', 'example'],
    [
      { at: 'Zone of the server', type: '\r' },
      { at: 'Create this machine?', type: '\r' },
    ],
    { env: cloud.env },
  )
  expect(code).toBe(130)
  expect(await ana.inventory()).toBe(before)
  expect(await cloud.things()).toEqual([])
})

test('create changes nothing after Ctrl-C at a prompt', async () => {
  const before = await ana.inventory()
  const { code } = await ana.fleetOnTerminal(
    ['create', 'web-1', '--driver', 'example', '--endpoint', cloud.endpoint],
    [{ at: 'Zone of the server', type: '\u0003' }],
    { env: cloud.env },
  )
  expect(code).toBe(130)
  expect(await ana.inventory()).toBe(before)
  expect(await cloud.things()).toEqual([])
})

test('stop stops hosts, and gc finds and removes hosts without an entry', async () => {
  await setDefaults()
  await fleetUntil(waiting, ['create', 'web', '--count', '2', ...create], 2)
  const file = join(ana.folder, 'machines.yaml')
  await writeFile(file, (await ana.inventory()).replaceAll('phase: creating', 'phase: ready'))
  const stopped = await fleet('stop', 'web-1', 'web-2', '--json')
  expect(stopped).toMatchObject({ code: 0 })
  expect(JSON.parse(stopped.stdout)).toMatchObject([{ name: 'web-1' }, { name: 'web-2' }])
  checkJsonOutput('inspect', stopped.stdout)
  const states = (await cloud.things()).flatMap(({ state }) => state ?? [])
  expect(states).toEqual(['stopped', 'stopped'])

  // One entry is lost, the other forgotten: fleet commands can no longer find their hosts by name.
  await writeFile(file, (await ana.inventory()).replace(/ {2}web-1:[^]*?(?= {2}web-2:)/, ''))
  expect((await fleet('forget', 'web-2')).code).toBe(0)
  const listed = await fleet('gc', '--driver', 'example', '--json')
  expect(listed.code).toBe(0)
  checkJsonOutput('gc', listed.stdout)
  checkJsonOutput('trustAdd', (await fleet('trust', 'add', 'example', '--json')).stdout)
  expect(JSON.parse(listed.stdout)).toMatchObject([
    { driver: 'example', machine: 'web-1' },
    { driver: 'example', machine: 'web-2' },
  ])
  expect(await cloud.things()).toHaveLength(4)
  const kept = await fleet('gc', '--driver', 'example', '--yes')
  expect(kept).toMatchObject({ code: 0, stderr: expect.stringContaining('fleet gc NAME') })
  expect(await cloud.things()).toHaveLength(4)
  const collected = await fleet('gc', 'web-1', 'web-2', '--driver', 'example', '--yes')
  expect(collected).toMatchObject({ code: 0 })
  expect(await cloud.things()).toEqual([])
  expect((await fleet('gc', '--driver', 'example')).stderr).toContain(
    'no unmanaged hosts were found',
  )
})

test('stop and restart require a machine name, and a driver with support for it', async () => {
  await writeFile(
    join(ana.folder, 'machines.yaml'),
    'version: 1\nid: 0123abcd\nmachines:\n  here: { driver: local, host: { phase: ready } }\n',
  )
  await fleet('use', 'here')
  expect(await fleet('stop')).toMatchObject({ code: 2 })
  expect(await fleet('stop', 'here')).toMatchObject({ code: 8, stdout: '' })
  expect(await fleet('restart', 'web')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('fleet container restart web'),
  })
})
