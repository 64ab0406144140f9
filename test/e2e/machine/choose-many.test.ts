import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runProgram } from '../../support/lab/process.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

// Commands with `--on` that do not connect to hosts.

const inventory = `\
version: 1
id: 0123abcd
audit: git
profiles:
  app: { driver: ssh, count: 1, options: { address: 192.0.2.9 }, labels: { role: web } }
machines:
  web-2: { driver: ssh, options: { address: 192.0.2.2 }, labels: { role: web } }
  web-1: { driver: ssh, options: { address: 192.0.2.1 }, labels: { role: web } }
  laptop: { driver: local }
  db: { driver: ssh, options: { address: 192.0.2.3 }, protected: true }
`

let ana: TestUser

const git = async (...words: string[]): Promise<string> =>
  await runProgram([
    'git',
    '-C',
    ana.folder,
    '-c',
    'user.name=ana',
    '-c',
    'user.email=a@b',
    ...words,
  ])

beforeAll(async () => {
  ana = await makeTestUser()
  await git('init', '-q')
  await git('config', 'user.name', 'ana')
  await git('config', 'user.email', 'ana@example.com')
})
afterAll(() => ana[Symbol.asyncDispose]())
beforeEach(async () => {
  await writeFile(join(ana.folder, 'machines.yaml'), inventory)
  await git('add', '.')
  await git('commit', '-q', '--allow-empty', '-m', 'begin')
})

/** Resolves to the messages of the commits since the start of the test. */
async function commits(): Promise<string[]> {
  const messages = (await git('log', '--format=%B%x00')).split('\0').map((text) => text.trim())
  return messages.slice(0, messages.indexOf('begin'))
}

test.each([
  ['provision', '--yes'],
  ['rm', '--yes'],
  ['set', 'label.a=b'],
  ['label', 'a=b'],
  ['rekey', '--yes'],
  ['forget', '--yes'],
  ['inspect'],
])(
  '%s accepts names or --on, but not both, and refuses a selector without matches',
  async (verb, ...rest) => {
    const both = await ana.fleet([verb, 'db', '--on', 'role=web', ...rest])
    expect(both).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('by an option, not both'),
    })
    const nothing = await ana.fleet([verb, '--on', 'role=wed', ...rest])
    expect(nothing).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('did you mean role=web?'),
    })
    expect(await ana.inventory()).toBe(inventory)
  },
)

test.each(['rm', 'label', 'rekey', 'forget', 'inspect', 'set', 'set a=b'])(
  '%s without a name or selector is refused',
  async (words) => {
    await ana.fleet(['use', 'laptop'])
    const { code, stderr } = await ana.fleet(words.split(' '))
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        `fleet: no machine was specified\n  to .*: fleet ${words.split(' ')[0]} NAME`,
      ),
    })
    expect(await ana.inventory()).toBe(inventory)
  },
)

test('set changes all machines in one write and one commit, in the order of the inventory', async () => {
  const { code, stdout, stderr } = await ana.fleet([
    ...['set', '--on', 'db,role=web', 'label.env=prod', 'port=2222', '--json'],
  ])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const machines = JSON.parse(stdout) as { name: string; options: unknown; labels: unknown }[]
  expect(machines.map(({ name }) => name)).toEqual(['web-2', 'web-1', 'db', 'app-1'])
  for (const { options, labels } of machines) {
    expect({ options, labels }).toMatchObject({ options: { port: 2222 }, labels: { env: 'prod' } })
  }
  const [commit = '', ...others] = await commits()
  expect(others).toEqual([])
  for (const name of ['web-2', 'web-1', 'db', 'app-1']) expect(commit).toContain(name)
})

test('set changes nothing if one machine cannot be changed, and reports which and why', async () => {
  const { code, stderr } = await ana.fleet(['set', '--all', 'port=2222'])
  expect(code).toBe(1)
  expect(stderr).toContain('1 of 5 machines failed\n  laptop: unknown setting "port"')
  expect(stderr).toContain('fleet: nothing was changed\n')
  const alike = await ana.fleet(['set', '--on', 'role=web', 'port=many'])
  expect(alike.stderr).toMatch(/all 3 machines: .*port.*\n/)
  expect(await ana.inventory()).toBe(inventory)
})

test('label shows and changes the labels of each machine', async () => {
  const changed = await ana.fleet(['label', '--on', 'role=web', 'env=prod'])
  expect(changed.stdout).toBe(
    ['web-2', 'web-1', 'app-1'].map((name) => `${name}\trole=web,env=prod\n`).join(''),
  )
  const shown = await ana.fleet(['label', '--on', 'web-*', '--json'])
  expect(JSON.parse(shown.stdout)).toEqual(
    ['web-2', 'web-1'].map((name) => ({ name, labels: { role: 'web', env: 'prod' } })),
  )
})

test('a command without changes writes no entry for a machine that only a profile defines', async () => {
  const { code } = await ana.fleet(['label', '--on', 'role=web', 'nothing-'])
  expect(code).toBe(0)
  expect(await ana.inventory()).toBe(inventory)
})

test('inspect --on prints an array in the order of the inventory, even for one machine', async () => {
  const { stdout } = await ana.fleet(['inspect', '--on', 'web-*'])
  expect(JSON.parse(stdout)).toMatchObject([{ name: 'web-2' }, { name: 'web-1' }])
  const one = await ana.fleet(['inspect', '--on', 'db'])
  expect(JSON.parse(one.stdout)).toMatchObject([{ name: 'db', protected: true }])
})

test('rm and forget list the selected machines, and continue only with --yes', async () => {
  for (const verb of ['rm', 'forget']) {
    const refused = await ana.fleet([verb, '--on', 'role=web'])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch(
      /app-1\nThe following will be removed:\n {2}web-2: .*\n {2}web-1: .*\nfleet: .*no terminal/,
    )
    const guarded = await ana.fleet([verb, '--all', '--yes'])
    expect(guarded.code).toBe(2)
    expect(guarded.stderr).toContain('fleet: db: the machine is protected')
    expect(await ana.inventory()).toBe(inventory)
  }
  const gone = await ana.fleet(['forget', '--on', 'web-*', '--yes', '--json'])
  expect(JSON.parse(gone.stdout)).toMatchObject([{ name: 'web-2' }, { name: 'web-1' }])
  expect(gone.stderr).toMatch(
    /^\{"event":"plan","machine":"web-2",.*\n\{"event":"plan","machine":"web-1"/,
  )
  const [commit = '', ...others] = await commits()
  expect(others).toEqual([])
  expect(commit).toMatch(/^Forget .*web-2, web-1/)
})

test('plan and apply are limited to the selected machines, and name the others', async () => {
  const plan = await ana.fleet(['plan', '--skip-hosts', '--on', 'web-*'])
  expect(plan.stdout).toMatch(
    /^fleet apply .*:\n {2}\+ web-2: .*\n {2}\+ web-1: .*\nPlan: .* 2 to adopt.*\n3 machines are not in this plan: laptop, db, app-1\n$/,
  )
  const file = join(ana.folder, 'all.plan')
  await ana.fleet(['plan', '--skip-hosts', '--out', file])
  const applied = await ana.fleet(['apply', '--plan', file, '--on', 'web-1'])
  expect(applied.code).toBe(2)
  expect(applied.stderr).toContain('+ web-1: adopt')
  expect(applied.stderr).not.toContain('+ web-2')
  expect(applied.stderr).toContain('4 machines are not in this plan: web-2, laptop, db, app-1\n')
})

describe.skipIf(!labIsHere)('on a terminal', () => {
  test('forget asks before it forgets the selected machines', async () => {
    const no = await ana.fleetOnTerminal(
      ['forget', '--on', 'web-*'],
      [{ at: 'these 2 machines', type: 'n\r' }],
    )
    expect(no.code).toBe(130)
    expect(await ana.inventory()).toBe(inventory)
    const yes = await ana.fleetOnTerminal(
      ['forget', '--on', 'web-*'],
      [{ at: 'these 2 machines', type: 'y\r' }],
    )
    expect(yes.code).toBe(0)
    expect(await ana.inventory()).not.toContain('web-1:')
  })
})
