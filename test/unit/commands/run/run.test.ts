import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Command, isGroup } from '../../../../src/commands/command.ts'
import { commandList } from '../../../../src/commands/index.ts'
import { fakeDriver, openFakeCloud } from '../../../support/in-process/fake-driver.ts'
import { type FakeHost, startFakeHost } from '../../../support/in-process/fake-host.ts'
import { type FakeRegistry, startFakeRegistry } from '../../../support/in-process/fake-registry.ts'
import { openWorld } from '../../../support/in-process/world.ts'
import {
  checkJsonMessages,
  checkJsonOutput,
  checkedInProcess,
} from '../../../support/json-output.ts'
import { jsonOutputs } from '../../../../scripts/json-output/outputs.ts'
import { type Case, cases } from './cases.ts'
import { passedOperands } from './passed-operands.ts'

vi.mock(import('../../../../src/drivers/index.ts'), async (original) => {
  const real = await original()
  return {
    ...real,
    drivers: [...real.drivers, fake],
    findDriver: async (name, place) => (name === fake.name ? fake : real.findDriver(name, place)),
  }
})

const started: FakeHost[] = []
/** Starts a host that is disposed of after the tests. */
async function start(privateKey?: string): Promise<FakeHost> {
  const host = await startFakeHost(privateKey)
  started.push(host)
  return host
}
let cloud: ReturnType<typeof openFakeCloud>
const fake = fakeDriver(() => cloud)
let registry: FakeRegistry
let hosts: Record<'web1' | 'web2' | 'cloud', FakeHost>

beforeAll(async () => {
  registry = await startFakeRegistry()
  hosts = { web1: await start(), web2: await start(), cloud: await start() }
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  for (const host of started) await host[Symbol.asyncDispose]()
})

/** All commands by their full names, such as `container ls`. */
const commands: readonly (readonly [string, Command])[] = commandList
  .flatMap(({ entries }) => entries)
  .flatMap((entry) =>
    isGroup(entry)
      ? entry.commands.map((command) => [`${entry.name} ${command.name}`, command] as const)
      : [[entry.name, entry] as const],
  )

/** Runs a case in a new working directory, with new inventories and a new home directory. */
async function runCase({ line, files = {}, input, programs = false, shell = false }: Case) {
  cloud = openFakeCloud(async (key) => (await start(key)).port)
  const web1 = shell ? await start() : hosts.web1
  if (shell) web1.runForReal()
  await using world = await openWorld({ ...hosts, web1 }, cloud)
  const fill = (text: string) =>
    text
      .replaceAll('{registry}', registry.name)
      .replaceAll('{port}', `${web1.port}`)
      .replaceAll('{key2}', hosts.web2.hostKey)
      .replaceAll('{key}', hosts.web1.hostKey)
      .replaceAll('{folder}', world.folder)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(world.folder, name)), { recursive: true })
    await writeFile(join(world.folder, name), fill(text), { mode: 0o755 })
  }
  const env = programs ? { PATH: `${world.folder}:${process.env['PATH']}` } : {}
  const lines = fill(line).split(' && ')
  for (const before of lines.slice(0, -1)) {
    const { code, stderr } = await world.run(before.split(' '), env)
    expect([code, stderr]).toEqual([0, stderr])
  }
  return await world.run(lines.at(-1)?.split(' ') ?? [], env, input)
}

const own = commands.filter(([, { dockerWords }]) => dockerWords === undefined)

/**
 * Commands that need a swarm without a leader, which these hosts cannot have. test/e2e/swarm/recover.test.ts tests
 * them.
 */
const onlyOnHosts = new Set(['swarm recover'])

test('every command has a case that succeeds, one that fails, and one with --json', () => {
  const missing = own.flatMap(([name, { answers }]) => {
    const all = cases[name] ?? []
    const has = (what: string, found: boolean) => (found ? [] : [`${name}: ${what}`])
    return [
      ...has(
        'ordinary output',
        onlyOnHosts.has(name) || all.some(({ code, prints }) => code === 0 && prints),
      ),
      ...has('an error', name === '__complete' || all.some(({ code }) => code > 0)),
      ...has(
        '--json',
        answers === undefined || onlyOnHosts.has(name) || all.some(({ json }) => json),
      ),
    ]
  })
  expect(missing).toEqual([])
  expect(Object.keys(cases).toSorted()).toEqual(own.map(([name]) => name).toSorted())
})

const checked = new Set<string>()

/** Returns the ID of a command line's described output, preferring `ls --live` to `ls` if the line has that option. */
function describedOutput(name: string, line: string): string {
  const described = jsonOutputs
    .flatMap(({ outputs }) => outputs)
    .flatMap(({ id, commands }) => commands.map((command) => ({ id, command })))
    .filter(({ command: described }) => {
      const [command = '', option] = described.split(/ (?=--)/)
      const isNamed = name === command || name.startsWith(`${command} `) // `import` is a group
      return isNamed && (option === undefined || line.includes(option))
    })
    .toSorted((a, b) => b.command.length - a.command.length)
  if (described[0] === undefined) throw new Error(`no described output of ${line}`)
  return described[0].id
}

describe.each(Object.entries(cases))('fleet %s', (name, all) => {
  const possible = all.filter(({ programs }) => !programs || process.platform !== 'win32')
  const rows = possible.map((one) => [one.line, one.code, one] as const)
  test.each(rows)('%s exits with %i', async (_line, _code, one) => {
    const { code, stdout, stderr } = await runCase(one)
    const output = stdout + stderr
    expect({ code, output }).toEqual({
      code: one.code,
      output: expect.stringMatching(one.prints ?? /^/),
    })
    if (one.line.endsWith(' --json')) {
      for (const message of checkJsonMessages(stderr)) checked.add(message)
    }
    if (one.json === undefined) return
    const id = describedOutput(name, one.line)
    checkJsonOutput(id, stdout)
    checked.add(id)
    expect(JSON.parse(stdout)).toMatchObject(one.json)
  })
})

test('checks the JSON output of all commands that no test with real hosts checks', () => {
  expect(checkedInProcess.filter((id) => !checked.has(id))).toEqual([])
})

describe.each(
  commands.filter(([, { dockerWords }]) => dockerWords !== undefined).map(([name]) => name),
)('fleet %s, which runs docker on the host', (name) => {
  const operands = passedOperands[name] ?? ['app']

  test('prints the output of docker', async () => {
    hosts.web1.commands()
    const line = [name, '--machine', 'web-1', ...operands].join(' ')
    const { code, stdout, stderr } = await runCase({ line, code: 0 })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe('docker answers\n')
    expect(hosts.web1.commands().join('\n')).toContain('docker')
  })

  test('exits with the exit code of docker', async () => {
    const line = [name, '--machine', 'web-1', ...operands, 'nowhere'].join(' ')
    expect(await runCase({ line, code: 7 })).toMatchObject({
      ...{ code: 7, stderr: 'Error: no such thing: nowhere\n' },
    })
  })

  test('exits with 125 if the machine is unknown', async () => {
    const line = [name, '--machine', 'nowhere', ...operands].join(' ')
    const { code, stderr } = await runCase({ line, code: 125 })
    expect(code).toBe(125)
    expect(stderr).toContain('nowhere')
  })
})

describe('fleet exec --find', () => {
  test.each(['exec --find --on web-2 web hostname', 'exec --on web-2 --find web hostname'])(
    '%s runs in the container that was found',
    async (line) => {
      hosts.web2.commands()
      const { code, stdout } = await runCase({ line, code: 0 })
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'docker answers\n' })
      expect(hosts.web2.commands().join('\n')).toMatch(/'exec' 'app' 'hostname'|exec app hostname/)
    },
  )
  test.each([
    ['exec --find web sh', 2, /3 containers match "web"[^]*web-1\/app[^]*fleet exec web-1\/app/],
    ['exec --find wep sh', 1, /no container or Compose service named "wep"[^]*"web"\?/],
    ['exec --find', 125, /no container specified/],
    ['exec --find web-1/app sh', 125, /already includes a machine name/],
  ])('%s exits with %i', async (line, code, prints) => {
    const ran = await runCase({ line, code })
    expect(ran.code).toBe(code)
    expect(ran.stderr).toMatch(prints)
  })
})
