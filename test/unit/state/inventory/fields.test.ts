import { array, assert, constantFrom, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { drivers } from '../../../../src/drivers/index.ts'
import { UserError } from '../../../../src/errors.ts'
import { sshDestination } from '../../../../src/machine/fields.ts'
import { parseDestination } from '../../../../src/transport/ssh/destination.ts'
import { parseMachineName } from '../../../../src/machine/name.ts'
import { inventoryOf } from '../../../../src/state/inventory/inventory.ts'
import { readInventoryText } from '../../../../src/state/inventory/read-text.ts'
import { tokenOf } from '../../../support/token-of.ts'

const head = 'version: 1\nid: 0123abcd\n'

const read = (text: string) =>
  readInventoryText(text, 'machines.yaml', async () => ({
    optionsOf: (name) => drivers.find((driver) => driver.name === name)?.options,
  }))

async function refused(text: string): Promise<string> {
  const error: unknown = await read(text).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof UserError && error.kind === 'inventory') return error.message
  throw error ?? new Error(`was taken: ${text.slice(0, 300)}`)
}

const withHost = (key: string, value: unknown): string =>
  `${head}machines:\n  a:\n    driver: x\n    host:\n      phase: ready\n      ${key}: ${JSON.stringify(value)}\n`

const hostile: Readonly<Record<string, readonly unknown[]>> = {
  token: [
    '../../../documents',
    '/etc',
    'a',
    `${tokenOf('a')}/..`,
    `${tokenOf('a')}\n`,
    tokenOf('a').toUpperCase(),
    '-oProxyCommand=id',
  ],
  id: [
    '-h',
    '--help',
    '..',
    '../x',
    'a/../b',
    'i 1',
    'i\n1',
    "a'b",
    'a"b',
    '$(id)',
    'a;b',
    'a?b',
    'a#b',
    'a%2e',
    'x'.repeat(513),
  ],
  address: [
    '-oProxyCommand=id',
    'a b',
    'a\nHost *',
    'a;b',
    'user@host',
    'a..b',
    '10.0.0.1/..',
    'x'.repeat(300),
    '::1%eth0;id',
    '::1%-x',
    '[::1]',
    'https://x',
  ],
  user: ['-l', 'a b', 'a\nb', 'a"b', "a'b", '$(id)', '`id`', 'a;b', 'a|b', 'a:b', 'a/b', 'a\\'],
  port: [0, 65_536, 1.5, '22'],
  sshAlias: [
    '-oProxyCommand=id',
    'ana@-oProxyCommand=id',
    '-l@web',
    'a b',
    'a\nHost *',
    'a%h',
    'a;id',
    '$(id)',
    '`id`',
    '*',
    '!web',
    'web,db',
    'web:0',
    'ssh://web',
    'fe80::1%eth0',
    '~/web',
    'x'.repeat(254),
    '',
  ],
  // An inventory from git must not run commands.
  proxyCommand: ['nc %h %p'],
  ProxyCommand: ['nc %h %p'],
  socket: ['docker.sock', '/run/../etc/x', '/a\nb', '/a"b', '/$(id)', `/${'x'.repeat(110)}`, '/'],
  hostKeys: [
    ['ssh-ed25519 AAAA comment'],
    ['AAAA'],
    ['ssh-ed25519 AAAA\nx'],
    ['cert-authority * A'],
  ],
  key: ['SHA256:x', '../x', `SHA256:${'.'.repeat(43)}`],
  resources: [
    { '../x': 'a' },
    { '': 'a' },
    { 'a\nb': 'a' },
    { a: 'b\nc' },
    { a: 'x'.repeat(5000) },
  ],
  os: ['a\u001B[2Jb', 'x'.repeat(300)],
}

const right: Readonly<Record<string, readonly unknown[]>> = {
  token: [tokenOf('a')],
  id: [
    'i-0abc',
    tokenOf('a'),
    '/subscriptions/0/resourceGroups/my_(group).x/providers/Microsoft.Compute/virtualMachines/a',
    'ocid1.instance.oc1..aaaa',
    'projects/p/zones/z/instances/n',
    'gruppe-ä/a',
  ],
  address: [
    '10.0.0.1',
    '::1',
    '2001:db8::7',
    'fe80::1%eth0',
    '::ffff:10.0.0.1',
    'web-1.example',
    'web.example.',
    'web_1',
    'xn--bcher-kva.example',
  ],
  user: [
    'ana',
    'ana@realm',
    'CORP\\ana',
    'first.last',
    '_x',
    'müller',
    'a-b+c',
    'machine$',
    '1000',
  ],
  port: [22, 65_535],
  sshAlias: ['web-1', 'ana@web-1.example:2222', '2001:db8::1', 'ana@[::1]:22', '10.0.0.1', 'a_b'],
  socket: ['/run/user/1000/docker.sock', '/Users/First Last/.docker/run/docker.sock'],
  hostKeys: [['ssh-ed25519 AAAA', 'ecdsa-sha2-nistp256 AAAA+/==']],
  resources: [{ region: 'eu-west-1', sshPort: '2222', tags: 'a=b c,d=é' }],
  os: ['Debian GNU/Linux 13 (trixie)'],
}

describe('a value in a host record', () => {
  it.each(Object.entries(hostile).flatMap(([key, all]) => all.map((one) => [key, one] as const)))(
    'is refused with its position: %s %j',
    async (key, value) => {
      expect(await refused(withHost(key, value))).toMatch(/^machines\.yaml:8:\d+: /)
    },
  )

  it.each(Object.entries(right).flatMap(([key, all]) => all.map((one) => [key, one] as const)))(
    'is accepted: %s %j',
    async (key, value) => {
      const valid = await read(withHost(key, value))
      expect(inventoryOf(valid).machines.get(parseMachineName('a'))?.host).toMatchObject({
        [key]: value,
      })
    },
  )
})

const parse = (destination: string) => {
  try {
    return parseDestination(destination)
  } catch {
    return undefined
  }
}

describe('a destination for ssh', () => {
  const piece = constantFrom(
    ...Array.from('aZ9._-@:[]%$`;|&<>(){}*?!,~/\\\'" \n\t=#-'),
    ...['ana@', '::1', '-o'],
  )

  it('has no character that ssh or a shell interprets, for any text in the inventory', () => {
    const text = array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''))
    const check = property(text, (destination) => {
      if (!sshDestination.safeParse(destination).success) return
      const parsed = parse(destination)
      if (parsed === undefined) return // ssh is not run for this destination.
      const { host, user = 'a' } = parsed
      expect(host).toMatch(/^(?:\w(?:[\w.-]*\w)?|[0-9A-Fa-f:]+)$/)
      expect(user).toMatch(/^\w(?:[\w.@+-]*\w)?$/)
    })
    assert(check, { numRuns: 5_000 })
    expect(sshDestination.safeParse('ana@web-1:22').success).toBe(true)
  })
})

describe('a hidden character', () => {
  it.each([
    [
      'in a value',
      `${head}machines:\n  a: { driver: x, labels: { b: "c\u202Ed" } }\n`,
      '4:34',
      '202E',
    ],
    [
      'written as a named escape',
      `${head}machines:\n  a: { driver: x, labels: { b: "\\e[2J" } }\n`,
      '4:32',
      '001B',
    ],
    [
      'written as a numeric escape',
      `${head}machines:\n  a: { driver: x, labels: { b: "\\u009b" } }\n`,
      '4:32',
      '009B',
    ],
    [
      'in a multi-line string',
      `${head}machines:\n  a:\n    driver: x\n    options:\n      k: |\n        a\n        b\n`,
      '7:10',
      '000A',
    ],
    [
      'in a key',
      `${head}machines:\n  a: { driver: x, options: { "k\\u200b": 1 } }\n`,
      '4:30',
      '200B',
    ],
    ['in a comment', `${head}# a\u2066b\nmachines: {}\n`, '3:4', '2066'],
    ['in a nested value', `${head}defaults: { x: { k: [[{ z: "\\u202E" }]] } }\n`, '3:28', '202E'],
    ['in a machine name', `${head}machines:\n  "a\\t": { driver: x }\n`, '4:3', '0009'],
  ])('%s is refused', async (_, text, place, code) => {
    expect(await refused(text)).toContain(`machines.yaml:${place}: the character U+${code} is not`)
  })
})

const profiles = (count: number, each: string): string =>
  `${head}profiles:\n${Array.from({ length: count }, (_, n) => `  p${n}: { ${each} }\n`).join('')}`

const chain = (length: number, key: string): string =>
  Array.from({ length }, (_, n) => `  a${n}: { driver: x, ${key}: a${n + 1} }\n`).join('')

describe('an oversized inventory', () => {
  it.each([
    [
      'its profiles create too many machines',
      profiles(20, 'driver: x, count: 10000'),
      /p1\.count: more than 10000 machines/,
    ],
    [
      'it has too many machines',
      `${head}machines:\n${Array.from({ length: 10_001 }, (_, n) => `  a${n}: { driver: x }\n`).join('')}`,
      /machines: more than 10000 machines/,
    ],
    ['it has too many profiles', profiles(1001, 'driver: x'), /profiles: 1001 entries/],
    [
      'too many profiles extend each other',
      `${head}profiles:\n${chain(5000, 'extends').slice(0, 150_000)}  z: { driver: x }\n`,
      /extend each other more than 16 levels deep|1,?000/,
    ],
    [
      'profiles extend each other too deeply',
      `${head}profiles:\n${chain(30, 'extends')}  a30: { driver: x }\n`,
      /extend each other more than 16 levels deep/,
    ],
    ['it is too large', `${head}# ${'x'.repeat(9_000_000)}\n`, /larger than 8 MiB/],
    [
      'it is too large for the YAML parser',
      `${head}# ${'x'.repeat(5_000_000)}\nmachines: &a {}\n`,
      /larger than 4 MiB/,
    ],
    [
      'it has many duplicate keys',
      `${head}machines:\n${'  a: { driver: x }\n'.repeat(30_000)}`,
      /a is defined twice/,
    ],
    [
      'it has many unknown keys',
      `${head}${Array.from({ length: 30_000 }, (_, n) => `k${n}: 1\n`).join('')}`,
      /and many more like these/,
    ],
    [
      'it has many merge conflicts',
      `${head}${'<<<<<<< a\n>>>>>>> b\n'.repeat(20_000)}`,
      /unresolved git merge conflict/,
    ],
    [
      'its aliases expand to too much',
      `${head}x0: &x0 [a,a,a,a,a,a,a,a]\n${Array.from({ length: 9 }, (_, n) => `x${n + 1}: &x${n + 1} [${`*x${n},`.repeat(9)}1]\n`).join('')}`,
      /aliases expand to too much/,
    ],
    [
      'it is nested too deeply',
      `${head}defaults: { x: { k: ${'['.repeat(50_000)}${']'.repeat(50_000)} } }\n`,
      /too deeply nested|bracket/,
    ],
  ])('is refused if %s', async (_, text, message) => {
    expect(await refused(text)).toMatch(message)
  })
})
