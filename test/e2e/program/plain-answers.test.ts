import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../../support/lab/process.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'

// Output of commands that do not connect to hosts.

let ana: TestUser

beforeAll(async () => {
  ana = await makeTestUser()
  const entry = 'db: { driver: ssh, options: { address: 192.0.2.1 }, protected: true }'
  await writeFile(
    join(ana.folder, 'machines.yaml'),
    `version: 1\nid: 0123abcd\nprofiles:\n  web: { driver: aws }\nmachines:\n  ${entry}\n`,
  )
})
afterAll(() => ana[Symbol.asyncDispose]())

const said = async (...words: string[]) => (await ana.fleet(['set', ...words])).stderr

test('set prints old and new values, and the next command if a host is affected', async () => {
  expect(await said('db', 'label.role=db')).toBe('db: label.role: (not set) -> db\n')
  expect(await said('db', 'protected=true', 'label.role-')).toBe(
    'db: label.role: db -> (not set)\n',
  )
  expect(await said('db', 'protected=true')).toBe('db is unchanged: the values are already set\n')
  expect(await said('db', 'label.role=db', 'port=2222')).toBe(
    'db: port: (not set) -> 2222\ndb: label.role: (not set) -> db\nnext: fleet create db\n',
  )
  expect(await said('--profile', 'web', 'count=0', 'type=t3.nano')).toBe(
    'profile web: count: (not set) -> 0\nprofile web: type: (not set) -> t3.nano\n' +
      'next: fleet apply (to preview the changes: fleet plan)\n',
  )
})

test('an error names the machine once', async () => {
  const refused = await ana.fleet(['rm', 'db', '--yes'])
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain(
    'fleet: db: the machine is protected: removing it requires confirmation',
  )
})

test('a missing file is reported without the name of the system call', async () => {
  const { code, stderr } = await ana.fleet(['operator', 'add', 'ben', '--key', 'ben.pub'])
  expect(code).toBe(2)
  expect(stderr).toBe(
    `fleet: cannot read ${join(ana.folder, 'ben.pub')}: no such file or directory\n`,
  )
})

test('an inventory that is not staged in git is reported in one line, with a hint', async () => {
  await runProgram(['git', 'init', '-q', ana.folder])
  const { code, stderr } = await ana.fleet(['check', '--staged'])
  expect(code).toBe(4)
  const file = join(ana.folder, 'machines.yaml')
  expect(stderr).toBe(`fleet: ${file} is not staged in git\n  to stage the file: git add ${file}\n`)
})

test('help lists commands in groups, and has topics', async () => {
  const { stdout } = await ana.fleet(['--help'])
  expect(stdout).not.toContain('\nCommands:')
  expect(stdout).toMatch(/Machines:\n {2}create, adopt, import {2,}\S/)
  expect((await ana.fleet(['help', 'selectors'])).stdout).toContain('role=web')
})

test('a profile can count hosts that have not been adopted yet', async () => {
  await using bob = await makeTestUser()
  await writeFile(
    join(bob.folder, 'machines.yaml'),
    'version: 1\nid: 0123abcd\nprofiles:\n  web: { driver: ssh, options: { user: ops }, count: 2 }\n' +
      'machines:\n  web-1: { driver: ssh, options: { address: 192.0.2.1 } }\n',
  )
  expect(await bob.fleet(['forget', 'web-1'])).toMatchObject({ code: 0 })
  expect((await bob.fleet(['ls', '-q'])).stdout).toBe('web-1\nweb-2\n')
  expect((await bob.fleet(['ps', '--all'])).stderr).toBe(
    'fleet: 2 of 2 machines failed\n' +
      '  both machines: the machine has not been adopted yet\n    to set up the machine: fleet adopt USER@HOST --name NAME\n',
  )
  const { code, stdout } = await bob.fleet(['plan'])
  expect(code).toBe(1)
  expect(stdout).toContain('fleet adopt USER@HOST --name web-2')
})

test('an entry is kept if its profile still defines the machine but not all of its settings', async () => {
  const file = join(ana.folder, 'counted.yaml')
  const rest = '{ extends: web, options: { location: westeurope }, host: { phase: ready, id: x } }'
  const entries = `  web-1: ${rest}\n  web-2: ${rest}\n`
  const text = `version: 1\nid: 0123abcd\nprofiles:\n  web: { driver: azure, count: 2 }\nmachines:\n${entries}`
  await writeFile(file, text)
  const words = ['--inventory', file, 'forget', 'web-2']
  const { code, stderr } = await ana.fleet(words)
  expect(code).toBe(2)
  expect(stderr).toContain(
    'cannot remove web-2: profile web still creates it, but requires settings from its entry (options.location',
  )
  expect(stderr).toContain('to prevent this: fleet set --profile web count=1')
  expect(await readFile(file, 'utf8')).toBe(text)
  expect(
    await ana.fleet(['--inventory', file, 'set', '--profile', 'web', 'count=1']),
  ).toMatchObject({ code: 0 })
  expect(await ana.fleet(words)).toMatchObject({ code: 0 })
})

test('input typed before a prompt does not answer the prompt', async () => {
  await using bob = await makeTestUser()
  await writeFile(
    join(bob.folder, 'machines.yaml'),
    'version: 1\nid: 0123abcd\nmachines:\n  web-1: { driver: ssh, options: { address: 192.0.2.1 } }\n',
  )
  const before = await bob.inventory()
  const { code, screen } = await bob.onTerminal(
    ['sh', '-c', 'echo ready; sleep 1; exec "$0" rm web-1', program],
    [
      { at: 'ready', type: 'y\rls\ry\r' },
      { at: 'Remove this machine?', type: '\r' },
    ],
  )
  expect(screen).toContain('Remove this machine?')
  expect(code).toBe(130)
  expect(await bob.inventory()).toBe(before)
  const second = await bob.fleetOnTerminal(
    ['rm', 'web-1'],
    [{ at: 'Remove this machine?', type: 'y\r' }],
  )
  expect(second.code).toBe(0)
})

test('rm of several numbered machines prints one hint for all of them', async () => {
  await using bob = await makeTestUser()
  const entry = '{ driver: ssh, extends: web, options: { address: 192.0.2.1 } }'
  await writeFile(
    join(bob.folder, 'machines.yaml'),
    'version: 1\nid: 0123abcd\nprofiles:\n  web: { driver: ssh, options: { user: ops }, count: 4 }\n' +
      `machines:\n${[1, 2, 3, 4].map((number) => `  web-${number}: ${entry}\n`).join('')}`,
  )
  const { code, stderr } = await bob.fleet(['rm', '-y', 'web-1', 'web-3'])
  expect(code).toBe(0)
  expect(stderr).toContain(
    'web-1: removed its entry; the machine had no host\n' +
      'web-3: removed its entry; the machine had no host\n' +
      '  profile web sets "count: 4", so the next fleet apply will create web-1, web-3 again; to prevent this: ' +
      'fleet rename web-4 web-1 && fleet set --profile web count=2\n',
  )
})
