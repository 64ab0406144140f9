import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const hostKey = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'A'.repeat(43)}`

/** Returns an inventory with one adopted host; port 1 of this computer refuses connections. */
const inventory = (record: Readonly<Record<string, unknown>>, more: object = {}) =>
  JSON.stringify({
    version: 1,
    id: '0123abcd',
    machines: {
      m: {
        driver: 'ssh',
        options: { address: '127.0.0.1' },
        ...more,
        host: {
          ...{ phase: 'ready', address: '127.0.0.1', port: 1, user: 'ana', hostKeys: [hostKey] },
          ...record,
        },
      },
    },
  })

describe('an inventory from another user', () => {
  let ana: TestUser
  let mark: string

  beforeAll(async () => {
    ana = await makeTestUser()
    mark = join(ana.home, 'ran')
    const run = `touch ${mark}`
    await writeFile(
      join(ana.home, '.ssh/config'),
      `Host *
  PermitLocalCommand yes
  LocalCommand ${run}
  KnownHostsCommand /usr/bin/touch ${mark}
  ProxyCommand ${run} %h %n %r; false
Match exec "${run}"
  Compression yes
`,
    )
  })
  afterAll(() => ana[Symbol.asyncDispose]())

  const use = (text: string) => writeFile(join(ana.folder, 'machines.yaml'), text)

  test.each<[string, Readonly<Record<string, unknown>>, object?]>([
    ['an address that is an option', { address: '-oProxyCommand=id' }],
    ['an address with a space', { address: 'a -oProxyCommand=id' }],
    ['an address with an ssh token', { address: '%h' }],
    ['an address with a command', { address: '$(id)' }],
    ['an address with a line break', { address: 'a\nProxyCommand id' }],
    ['a user that is an option', { user: '-oProxyCommand=id' }],
    ['a user with a command', { user: 'a`id`' }],
    ['a user with a space', { user: 'a -oProxyCommand=id' }],
    ['an alias that is an option', { sshAlias: '-oProxyCommand=id' }],
    ['an alias with an ssh token', { sshAlias: '%h' }],
    ['an alias with a command', { sshAlias: 'a;id' }],
    ['an alias of two words', { sshAlias: 'a b' }],
    ['a host key with a line break', { hostKeys: [`${hostKey}\n* ssh-rsa AAAA`] }],
    ['a ProxyCommand in its record', { proxyCommand: 'id' }],
    ['a ProxyCommand in its ssh settings', {}, { ssh: { client: 'openssh', proxyCommand: 'id' } }],
    [
      'options in its ssh settings',
      {},
      { ssh: { client: 'openssh', options: ['-oProxyCommand=id'] } },
    ],
    ['a program as its ssh client', {}, { ssh: { client: '/bin/sh' } }],
  ])('with %s is refused as a whole', async (_, record, more) => {
    await use(inventory(record, more))
    const { code, stderr } = await ana.fleet(['ssh', 'm', 'true'])
    expect(stderr).toContain('machines.yaml')
    expect(code).toBe(255)
    expect((await ana.fleet(['check'])).code).toBe(4)
    expect(existsSync(mark)).toBe(false)
  })

  test.each([
    ['the builtin client', {}],
    ['the openssh client', { ssh: { client: 'openssh' } }],
  ])('runs nothing from the SSH configuration, with %s', async (_, more) => {
    for (const record of [
      {},
      { sshAlias: 'gate' },
      { address: 'gate.invalid', sshAlias: 'a@gate:22' },
    ]) {
      await use(inventory(record, more))
      const { code } = await ana.fleet(['ssh', 'm', 'true'])
      expect(code).toBe(255)
      await ana.fleet(['status', 'm'])
      expect(existsSync(mark)).toBe(false)
    }
  })

  test('runs the ProxyCommand once the user trusts the alias', async () => {
    await use(inventory({ sshAlias: 'gate' }))
    expect(await ana.fleet(['trust', 'alias', 'm'])).toMatchObject({ code: 0 })
    expect((await ana.fleet(['ssh', 'm', 'true'])).code).toBe(255)
    expect(existsSync(mark)).toBe(true)
  })
})
