import * as fc from 'fast-check'
import { stringify } from 'yaml'
import { tokenOf } from '../token-of.ts'
import { codePoint } from '../code-point.ts'

/** An inventory written by an attacker, and a description of the attack. */
export interface HostileInventory {
  readonly what: string
  readonly text: string
}

/** Token of the user's own virtual machine, which no inventory may affect. */
export const usersMachine = tokenOf('a virtual machine of the user')

/** Addresses that fleet may connect to, because entries contain them. */
export const addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::7', 'fe80::1%eth0', 'web-1.example']

const paths = [
  ...[1, 3, 5, 7].map((depth) => `${'../'.repeat(depth)}documents`),
  '/etc/passwd',
  '~/documents',
  '..',
  '.',
  '',
]
const words = [
  '-oProxyCommand=touch pwned',
  '--help',
  '-rf',
  '$(touch pwned)',
  '`touch pwned`',
  '; touch pwned',
]
const characters = [
  'a\nHost *',
  'a\u001B[2J',
  'a\u202Eb',
  'a\u0000b',
  '\u200B',
  'a\tb',
  '\u009B31m',
  '\uFEFFa',
]
const kinds = [
  1e308,
  -1,
  0,
  true,
  null,
  [],
  {},
  ['a'],
  { a: { b: 1 } },
  '1e999',
  'x'.repeat(20_000),
]
const anything: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(...paths, ...words, ...characters, ...kinds),
  fc.string({ unit: codePoint, maxLength: 20 }),
)

const safe = {
  token: fc.oneof(fc.uuid({ version: 4 }), fc.constant(usersMachine)),
  id: fc.constantFrom(
    'i-0abc1234567890abc',
    usersMachine,
    'production',
    '/subscriptions/s/resourceGroups/prod/providers/Microsoft.Compute/virtualMachines/db',
  ),
  address: fc.constantFrom(...addresses),
  user: fc.constantFrom('ana', 'ana@realm', 'CORP\\ana', 'root'),
  name: fc.constantFrom(
    'web-1',
    'web-2',
    'github.com',
    'constructor',
    'toString',
    '1',
    'localhost',
  ),
}

/** Resources in records: resources of other users, and invalid ones. */
const resources = fc.constantFrom<Readonly<Record<string, string>>>(
  { region: 'eu-west-1', securityGroup: 'sg-0abc1234567890abc', elasticIp: 'eipalloc-1' },
  { region: 'evil.example/' },
  { region: 'eu-west-1', profile: '../../x' },
  { subscription: 's', group: 'prod', name: 'db' },
  { subscription: 's', group: 'prod', name: 'db', groupOwner: 'you' },
  { subscription: '..', group: '..', name: '..' },
  { cloud: 'evil.example', subscription: 's', group: 'g', name: 'n' },
  { computer: 'elsewhere' },
  { sshPort: '22', disk: '1', image: '../../documents' },
)

const record = fc.record(
  {
    phase: fc.constantFrom('creating', 'ready', 'removing'),
    token: safe.token,
    id: safe.id,
    address: safe.address,
    port: fc.constantFrom(22, 2222),
    user: safe.user,
    hostKeys: fc.constant(['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA']),
    key: fc.constant(`SHA256:${'a'.repeat(43)}`),
    socket: fc.constantFrom('/run/docker.sock'),
    resources,
    replacing: fc.constant(true),
  },
  { requiredKeys: ['phase'], noNullPrototype: true },
)

/** Options that each driver accepts. */
const optionsOf: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
  ssh: addresses.map((address) => ({ address })),
  qemu: [{ image: './disk.img' }, { image: '/etc/passwd', shares: 'all=/' }],
  virtualbox: [{ image: './disk.img' }, { shares: 'all=/', hostOnly: true }],
  aws: [{ region: 'eu-west-1' }, { region: 'eu-west-1', elasticIp: true, tags: 'a=b' }],
  azure: [{ location: 'westeurope', subscription: '00000000-0000-0000-0000-000000000000' }],
  local: [{ socket: '/run/docker.sock' }],
  nowhere: [{ anything: ['../../documents'] }],
}

const entry = fc
  .tuple(
    fc
      .constantFrom(...Object.keys(optionsOf))
      .chain((driver) =>
        fc.constantFrom(...(optionsOf[driver] ?? [])).map((options) => ({ driver, options })),
      ),
    fc.record(
      {
        via: safe.name,
        labels: fc.dictionary(fc.constantFrom('role', 'env'), fc.constantFrom('web', 'prod'), {
          noNullPrototype: true,
        }),
        userData: fc.constantFrom('boot.sh', 'boot.yaml'),
        protected: fc.boolean(),
        stopped: fc.constant(true),
        host: record,
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  )
  .map(([said, more]) => ({ ...said, ...more }))

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA'

/** An inventory that looks valid, and is malicious where possible. */
const plausible = fc.record(
  {
    version: fc.constant(1),
    id: fc.constant('0123abcd'),
    audit: fc.constant('git'),
    defaults: fc.constant({ aws: { region: 'eu-west-1' }, ssh: { user: 'root' } }),
    operators: fc.constant({ eve: { key, on: [`${'*a'.repeat(30)}b`, 'role=web'] } }),
    profiles: fc.constantFrom(
      { many: { driver: 'virtualbox', count: 3 } },
      { many: { driver: 'ssh', count: 2 }, more: { extends: 'many', labels: { role: 'web' } } },
    ),
    machines: fc.dictionary(safe.name, entry, { minKeys: 2, maxKeys: 4, noNullPrototype: true }),
  },
  { requiredKeys: ['version', 'id', 'machines'], noNullPrototype: true },
)

/** Returns the paths of all values below a value. */
const pathsIn = (value: unknown, path: readonly string[] = []): readonly (readonly string[])[] =>
  typeof value === 'object' && value !== null
    ? [path, ...Object.entries(value).flatMap(([name, item]) => pathsIn(item, [...path, name]))]
    : [path]

/** Returns a copy in which the value at a path, or its key, is replaced. */
function spoil(value: unknown, [name, ...rest]: readonly string[], by: unknown): unknown {
  if (name === undefined) return by
  if (Array.isArray(value)) {
    return value.map((item, at) => (String(at) === name ? spoil(item, rest, by) : item))
  }
  const isKey = rest.length === 0 && typeof by === 'string' && by.length % 2 === 1
  return Object.fromEntries(
    Object.entries(value as object).map(([other, item]) =>
      other !== name ? [other, item] : isKey ? [by, item] : [other, spoil(item, rest, by)],
    ),
  )
}

/** An inventory in which one value or key is replaced. */
const spoilt: fc.Arbitrary<HostileInventory> = fc
  .tuple(plausible, fc.nat(), anything)
  .map(([file, at, by]) => {
    const all = pathsIn(file)
    const path = all[at % all.length] ?? []
    return {
      what: `a replaced value or key at ${path.join('.')}`,
      text: stringify(spoil(file, path, by)),
    }
  })

const composed: fc.Arbitrary<HostileInventory> = plausible.map((file) => ({
  what: 'a valid inventory',
  text: stringify(file, { aliasDuplicateObjects: false }),
}))

const head = 'version: 1\nid: "0123abcd"\n'
const many = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => line(n)).join('')

/** Returns inventories that require much time or memory, up to sizes that are refused. */
const bombs = (scale: number): readonly HostileInventory[] =>
  Object.entries({
    aliases: `${head}x0: &x0 [a,a,a,a,a,a,a,a]\n${many(9, (n) => `x${n + 1}: &x${n + 1} [${`*x${n},`.repeat(9)}1]\n`)}`,
    'merge keys': `${head}x0: &x0 {a: 1}\n${many(12, (n) => `x${n + 1}: &x${n + 1} {<<: [*x${n},*x${n}], k${n}: 1}\n`)}`,
    'a deeply nested list': `${head}defaults: { x: { k: ${'['.repeat(scale)}${']'.repeat(scale)} } }\n`,
    'a deeply nested map': `${head}defaults:\n${many(Math.min(scale, 800), (n) => `${' '.repeat(n + 1)}k:\n`)}`,
    'jump hosts in a circle': `${head}machines:\n${many(scale / 10, (n) => `  m${n}: { driver: ssh, via: m${(n + 1) % Math.floor(scale / 10)}, options: { address: 192.0.2.1 } }\n`)}`,
    'jump hosts that do not exist': `${head}machines:\n${many(scale / 10, (n) => `  m${n}: { driver: ssh, via: x${n}, options: { address: 192.0.2.1 } }\n`)}`,
    'a long chain of jump hosts': `${head}machines:\n${many(scale / 10, (n) => `  m${n}: { driver: ssh, via: m${n + 1}, options: { address: 192.0.2.1 } }\n`)}`,
    'profiles in a circle': `${head}profiles:\n${many(scale / 50, (n) => `  p${n}: { driver: ssh, extends: p${(n + 1) % Math.floor(scale / 50)} }\n`)}`,
    'profiles that extend missing ones': `${head}profiles:\n${many(scale / 50, (n) => `  p${n}: { driver: ssh, extends: x${n} }\n`)}`,
    'many counts': `${head}profiles:\n${many(scale / 500, (n) => `  p${n}: { driver: ssh, count: 10000 }\n`)}`,
    'a large count': `${head}profiles:\n  p: { driver: nowhere, count: ${scale} }\n`,
    'unknown keys': `${head}${many(scale, (n) => `k${n}: 1\n`)}`,
    'a repeated key': `${head}machines:\n${'  a: { driver: ssh }\n'.repeat(scale)}`,
    'merge conflicts': `${head}${'<<<<<<< a\n=======\n>>>>>>> b\n'.repeat(scale / 2)}`,
    'wrong values': `${head}machines:\n${many(scale / 4, (n) => `  m${n}: { driver: -, host: { phase: x } }\n`)}`,
    'a comment': `${head}# ${'a.b-'.repeat(scale * 4)}\nmachines: {}\n`,
    'text that resembles secrets': `${head}# ${'eyJaaaaaaaaaa-'.repeat(scale)}\n# ${'password_'.repeat(scale)}\n`,
    'spaces in a tag': `${head}defaults: { aws: { tags: "${' '.repeat(scale * 4)}x" } }\n`,
    'spaces in a shared directory': `${head}defaults: { qemu: { shares: "a=/${' '.repeat(scale * 4)}x" } }\n`,
    'wildcards in a selector': `${head}operators:\n  ana: { key: ${key}, on: ["${'*a'.repeat(250)}b"] }\nmachines:\n  ${'a'.repeat(63)}: { driver: ssh, options: { address: 192.0.2.1 }, host: { phase: ready, address: 192.0.2.1, user: u } }\n`,
    'many operators': `${head}operators:\n${many(scale / 2, (n) => `  o${n}: ${key}${n}\n`)}`,
    'invalid escape sequences': `${head}defaults: { x: { k: "${String.raw`\q`.repeat(scale)}" } }\n`,
    'nested braces': `${head}defaults: ${'{a, '.repeat(scale)}\n`,
    'a long string': `${head}machines: { a: { driver: "${'x'.repeat(scale * 10)}" } }\n`,
    'question marks': `${head}${'? '.repeat(scale)}\n`,
    'many documents': `${head}${'---\n'.repeat(scale)}`,
    'hidden characters': `${head}machines: {}\n${'# \u202E\n'.repeat(scale)}`,
  }).map(([what, text]) => ({ what: `${what} (${scale})`, text }))

/** Inventories whose text is modified or truncated. */
const broken: fc.Arbitrary<HostileInventory> = fc
  .tuple(composed, fc.nat(), fc.string({ unit: codePoint, maxLength: 6 }))
  .map(([{ text }, at, added]) => {
    const place = at % (text.length + 1)
    return {
      what: 'a modified text',
      text: `${text.slice(0, place)}${added}${text.slice(place + added.length)}`,
    }
  })

/** Returns at least `count` inventories, determined by `seed`. */
export const hostileInventories = (count: number, seed: number): readonly HostileInventory[] => [
  ...bombs(500),
  ...bombs(20_000),
  ...fc.sample(composed, { numRuns: Math.ceil(count / 2), seed }),
  ...fc.sample(spoilt, { numRuns: Math.ceil(count / 3), seed }),
  ...fc.sample(broken, { numRuns: Math.ceil(count / 6), seed }),
]
