import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { array, assert, constantFrom, oneof, property, string } from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import {
  type SshHostBlock,
  formatInclude,
  formatKnownHosts,
  formatSshConfig,
} from '../../../src/machine/ssh-config-text.ts'
import { codePoint } from '../../support/code-point.ts'

const folder = mkdtempSync(join(tmpdir(), 'ssh-config-text-'))
afterAll(() => rmSync(folder, { recursive: true }))

const block = (change: Partial<SshHostBlock> = {}): SshHostBlock => ({
  machine: 'web-1',
  names: ['web-1', 'fleet.0123abcd.web-1'],
  address: '192.0.2.1',
  port: 2222,
  user: 'ana',
  hostKeyAlias: 'fleet.0123abcd.web-1',
  knownHostsFile: '/h/known_hosts',
  ...change,
})

/** Returns the options that ssh reads from a configuration for a host. */
function read(config: string, host: string): Map<string, string> {
  const file = join(folder, 'config')
  writeFileSync(file, config)
  const lines = String(
    execFileSync('ssh', ['-G', '-F', file, host], { stdio: ['ignore', 'pipe', 'ignore'] }),
  ).split('\n')
  return new Map(lines.map((line) => [line.replace(/ .*/, ''), line.replace(/^\S+ /, '')]))
}

describe('the generated ssh configuration', () => {
  test('is read by ssh with the intended values', () => {
    const config = formatSshConfig([
      block({
        address: 'fe80::1%eth0',
        user: 'CORP\\ana@example.com',
        identityFile: "/home/o'brien/my keys/100% #1/id",
        jump: 'fleet.0123abcd.bastion',
        knownHostsFile: '/h/fleet home/known_hosts',
      }),
    ])
    const settings = read(config, 'web-1')
    expect(settings.get('hostname')).toBe('fe80::1%eth0')
    expect(settings.get('user')).toBe('CORP\\ana@example.com')
    expect(settings.get('port')).toBe('2222')
    expect(settings.get('identityfile')).toBe("/home/o'brien/my keys/100%% #1/id")
    expect(settings.get('proxyjump')).toBe('fleet.0123abcd.bastion')
    expect(settings.get('hostkeyalias')).toBe('fleet.0123abcd.web-1')
    expect(settings.get('userknownhostsfile')).toContain('/h/fleet home/known_hosts')
    expect(read(config, 'fleet.0123abcd.web-1').get('hostname')).toBe('fe80::1%eth0')
  })

  test.each<[string, Partial<SshHostBlock>]>([
    ['user', { user: 'root\nMatch exec "id"' }],
    ['user', { user: 'root\rx' }],
    ['user', { user: 'a"b' }],
    ['user', { user: '$(id)' }],
    ['user', { user: '-oProxyCommand=id' }],
    ['user', { user: '%d' }],
    ['user', { user: '\u202eroot' }],
    ['address', { address: '192.0.2.1\n  ProxyCommand id' }],
    ['address', { address: '-oProxyCommand=id' }],
    ['address', { address: 'a b' }],
    ['address', { address: '`id`' }],
    ['address', { address: '' }],
    ['name', { names: ['*'] }],
    ['name', { names: ['!web-1'] }],
    ['name', { names: ['web-?'] }],
    ['name', { names: ['a b'] }],
    ['name', { jump: 'none,-oX' }],
    ['key file', { identityFile: '/keys/${HOME}' }],
    ['key file', { identityFile: '/keys/"x"' }],
    ['key file', { identityFile: '/keys/x\\' }],
    ['known hosts file', { knownHostsFile: '/h/a\nb' }],
  ])('refuses an unsafe %s such as %j', (field, change) => {
    expect(() => formatSshConfig([block(change)])).toThrow(
      expect.objectContaining({
        kind: 'inventory',
        machine: 'web-1',
        message: expect.stringContaining(`the ${field} of web-1`),
      }),
    )
  })

  test('contains only the expected options and values, for any values in the inventory', () => {
    const nasty = oneof(
      string({ unit: codePoint, maxLength: 12 }),
      array(
        constantFrom(
          ...['\n', '\r', '"', "'", '\\', ' ', '#', '=', '%', '%h', '${A}', '*', '!', ',', '-'],
          ...['Match', 'exec', 'a', 'root', '\t', '\0', '\u2028'],
        ),
        { maxLength: 8 },
      ).map((parts) => parts.join('')),
    )
    const isHarmless = property(nasty, nasty, nasty, (user, address, identityFile) => {
      let config: string
      try {
        config = formatSshConfig([block({ user, address, identityFile })])
      } catch (error) {
        if (error instanceof UserError) return
        throw error
      }
      expect(config.match(/^ {2}(\w+) /gm)?.map((line) => line.trim())).toEqual([
        ...['HostName', 'Port', 'User'],
        ...(identityFile === '' ? [] : ['IdentityFile']),
        ...['HostKeyAlias', 'UserKnownHostsFile', 'StrictHostKeyChecking'],
      ])
      const settings = read(config, 'web-1')
      // ssh converts only ASCII letters to lowercase.
      expect(settings.get('hostname')).toBe(
        address.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
      )
      expect(settings.get('user')).toBe(user)
      expect(settings.get('stricthostkeychecking')).toMatch(/^(?:yes|true)$/)
    })
    assert(isHarmless, { numRuns: 150 })
  })

  test('refuses a host key with a line break, which could add another known host', () => {
    const hosts = [{ machine: 'web-1', alias: 'fleet.x.web-1', keys: ['ssh-ed25519 AA\n* x AA'] }]
    expect(() => formatKnownHosts(hosts)).toThrow('the host key of web-1')
  })

  test('refuses paths that Include would expand', () => {
    expect(formatInclude('/home/ana b/x.conf')).toBe('Include "/home/ana b/x.conf"')
    for (const path of ['/a"b', '/a*', '/a%h', '/a\nb', '/${HOME}'])
      expect(() => formatInclude(path)).toThrow(expect.objectContaining({ kind: 'failed' }))
  })
})
