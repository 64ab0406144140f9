import { execFile } from 'node:child_process'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const execute = promisify(execFile)

describe.skipIf(!labIsHere)('machines for other programs', () => {
  let lab: Lab
  let ana: TestUser

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true })
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    for (const { name, address } of lab.hosts) {
      const adopt = ['adopt', `root@${address}`, '--name', name, '--accept-new']
      expect(await ana.fleet(adopt)).toMatchObject({ code: 0 })
    }
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  const run = async (program: string, ...args: readonly string[]) =>
    (await execute(program, args, { env: { ...ana.env }, cwd: ana.folder })).stdout
  const contexts = async () =>
    (await run('docker', 'context', 'ls', '--format', '{{.Name}}')).trim().split('\n').sort()

  test('are docker contexts, which survive the broker and are removed with the machine', async () => {
    await run('docker', 'context', 'create', 'mine', '--docker', 'host=unix:///mine.sock')
    const synced = await ana.fleet(['context', 'sync', '-q'])
    expect(synced).toMatchObject({ code: 0, stdout: 'h1\nh2\n' })
    expect(await contexts()).toEqual(['default', 'h1', 'h2', 'mine'])
    const ask = (name: string) => run('docker', '--context', name, 'info', '-f', '{{.Name}}')
    expect(await Promise.all(['h1', 'h2'].map(ask))).toEqual(['h1\n', 'h2\n'])
    await ana.fleet(['broker', 'stop'])
    await ana.fleet(['ssh', 'h1', 'true'])
    expect(await ask('h2')).toBe('h2\n')

    expect(await ana.fleet(['forget', 'h2'])).toMatchObject({ code: 0 })
    const again = JSON.parse((await ana.fleet(['context', 'sync', '--json'])).stdout) as object
    expect(again).toMatchObject([
      { name: 'h1', state: 'written' },
      { name: 'h2', state: 'removed' },
    ])
    expect(await contexts()).toEqual(['default', 'h1', 'mine'])
    expect(await ana.fleet(['context', 'sync', '--remove'])).toMatchObject({ code: 0 })
    expect(await contexts()).toEqual(['default', 'mine'])
    const { stdout } = await ana.fleet(['broker', 'status', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ sockets: [] })
  })

  test('do not replace contexts that fleet did not create', async () => {
    await run('docker', 'context', 'create', 'h1', '--docker', 'host=unix:///mine.sock')
    const synced = await ana.fleet(['context', 'sync'])
    expect(synced).toMatchObject({ code: 1 })
    expect(synced.stdout).toMatch(/^h1\tskipped: .*not created for this inventory/)
    await ana.fleet(['context', 'sync', '--remove'])
    expect(await contexts()).toContain('h1')
  })

  test('are known to plain ssh, with the pinned host keys', async () => {
    const config = join(ana.home, '.ssh/config')
    await writeFile(config, 'Host other\n  User somebody\n', { mode: 0o600 })
    expect(await ana.fleet(['ssh-config', '--include'])).toMatchObject({ code: 2 })
    expect(await ana.fleet(['ssh-config', '--include', '--yes'])).toMatchObject({ code: 0 })
    const key = ['-o', `IdentityFile=${join(ana.home, '.ssh/id_ed25519')}`]
    expect(await run('ssh', '-F', config, ...key, 'h1', 'hostname')).toBe('h1\n')
    const printed = join(ana.folder, 'printed')
    await writeFile(printed, (await ana.fleet(['ssh-config'])).stdout)
    expect(await run('ssh', '-F', printed, ...key, 'h1', 'hostname')).toBe('h1\n')

    await lab.hosts[0]?.replaceHostKey()
    await expect(run('ssh', '-F', config, ...key, 'h1', 'hostname')).rejects.toThrow(
      'Host key verification failed',
    )
    expect(await ana.fleet(['ssh-config', '--include', '--yes'])).toMatchObject({ code: 0 })
    expect((await readFile(config, 'utf8')).match(/^Include/gm)).toHaveLength(1)
    expect(await ana.fleet(['ssh-config', '--remove'])).toMatchObject({ code: 0 })
    expect(await readFile(config, 'utf8')).toBe('Host other\n  User somebody\n')
    expect((await stat(config)).mode & 0o777).toBe(0o600)
    expect(await ana.fleet(['ssh-config', '--remove'])).toMatchObject({
      stderr: 'nothing to remove from ~/.ssh/config\n',
    })
    const [, keys = ''] =
      /UserKnownHostsFile "?([^"\n]+)/.exec(await readFile(printed, 'utf8')) ?? []
    expect(await readFile(keys, 'utf8')).toContain(' ssh-ed25519 ')
  })

  test('are hidden from plain ssh if the user has another host with that name', async () => {
    await using bob = await makeTestUser()
    const [own, other] = [
      'AAAAC3NzaC1lZDI1NTE5AAAAIAGIiOy0XPiAAAz8HfBHYxjcDyqlt8KFHGaJJjEUOhTM',
      'AAAAC3NzaC1lZDI1NTE5AAAAIHsi1nrMzty0ZbyMs5FimkOND052LvfLAi/wvUsRM2et',
    ]
    const names = ['github.com', 'web-1', 'db.corp', 'known.example', 'same.example', 'behind']
    const entries = names.map(
      (name, index) =>
        `  ${name}: { driver: ssh, options: { address: 192.0.2.${index} }, ${name === 'behind' ? 'via: github.com, ' : ''}host: { phase: ready, address: 192.0.2.${index}, user: root, hostKeys: [ssh-ed25519 ${own}] } }\n`,
    )
    await writeFile(
      join(bob.folder, 'machines.yaml'),
      `version: 1\nid: 0123abcd\nmachines:\n${entries.join('')}`,
    )
    const ssh = (name: string) => join(bob.home, '.ssh', name)
    const config = 'Include more\nHost web-*\n  User somebody\nHost *.corp\n  ProxyJump gate\n'
    await writeFile(ssh('config'), config, { mode: 0o600 })
    await writeFile(ssh('more'), 'Host github.com\n  User git\n')
    await writeFile(
      ssh('known_hosts'),
      `known.example ssh-ed25519 ${other}\nsame.example ssh-ed25519 ${own}\n`,
    )
    for (const _ of ['once', 'and again']) {
      const { code, stderr } = await bob.fleet(['ssh-config', '--include', '--yes'])
      expect(code).toBe(0)
      const leftOut = [...stderr.matchAll(/^skipped the name (\S+), because/gm)].map(
        ([, name]) => name,
      )
      expect(new Set(leftOut)).toEqual(new Set(['db.corp', 'github.com', 'known.example']))
    }
    const ask = async (name: string, keyword: string) =>
      (await run('ssh', '-G', '-F', ssh('config'), name))
        .split('\n')
        .find((line) => line.startsWith(`${keyword} `))
    expect(await ask('github.com', 'hostname')).toBe('hostname github.com')
    expect(await ask('fleet.0123abcd.github.com', 'hostname')).toBe('hostname 192.0.2.0')
    expect(await ask('web-1', 'hostname')).toBe('hostname 192.0.2.1')
    expect(await ask('same.example', 'hostname')).toBe('hostname 192.0.2.4')
    expect(await ask('behind', 'proxyjump')).toBe('proxyjump fleet.0123abcd.github.com')
  })
})
