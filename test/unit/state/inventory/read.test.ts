import * as fc from 'fast-check'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { UserError } from '../../../../src/errors.ts'
import { parseMachineName } from '../../../../src/machine/name.ts'
import { openFileInventory } from '../../../../src/state/inventory/file-inventory.ts'
import { inventoryOf } from '../../../../src/state/inventory/inventory.ts'
import { parseInventory, type OptionsOf } from '../../../../src/state/inventory/parse-inventory.ts'
import { codePoint } from '../../../support/code-point.ts'

const options = z.strictObject({
  address: z.string(),
  port: z.int().min(1).max(65_535).optional(),
  mode: z.enum(['fast', 'slow']).optional(),
  tags: z.array(z.string()).optional(),
})
const optionsOf: OptionsOf = (driver) => (driver === 'ssh' ? options : undefined)
const head = 'version: 1\nid: 4f0c2f6e\n'

/** Returns the inventory error that `run` throws, or undefined if it succeeds. Rethrows all other errors. */
function userErrorOf(run: () => unknown): UserError | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof UserError && error.kind === 'inventory') return error
    throw error
  }
}

const problemsOf = (text: string): readonly string[] =>
  userErrorOf(() => parseInventory(text, 'machines.yaml', optionsOf))?.message.split('\n') ?? []

/** Resolves to whether the work succeeded or threw a `UserError`. Rejects with all other errors. */
const outcomeOf = (work: Promise<unknown>): Promise<'done' | 'refused'> =>
  work.then(
    () => 'done',
    (error: unknown) => {
      if (error instanceof UserError) return 'refused'
      throw error
    },
  )

const inEntry = (lines: string): string =>
  `${head}machines:\n  web-1:\n    driver: x\n    ${lines}\n`

describe('an invalid inventory is reported with the position and the expected value', () => {
  it.each([
    [
      'labels: { role: 3 }',
      '6:21: machines.web-1.labels.role: expected a string, got 3 (quote it: "3")',
    ],
    [
      'labels: { role: 1.10 }',
      '6:21: machines.web-1.labels.role: expected a string, got 1.10 (quote it: "1.10")',
    ],
    [
      'labels: { role: true }',
      '6:21: machines.web-1.labels.role: expected a string, got true (quote it: "true")',
    ],
    ['labels: { role: [a] }', '6:21: machines.web-1.labels.role: expected a string, got a list'],
    ['labels: { role: }', '6:21: machines.web-1.labels.role: expected a string, got null'],
    ['labels: web', '6:13: machines.web-1.labels: expected a mapping, got "web"'],
    [
      'labels: { "a b": c }',
      '6:15: machines.web-1.labels.a b: invalid key: expected 1 to 63 ASCII letters, digits, ".", "_", "/" or "-", beginning and ending with a letter or digit',
    ],
    ['lables: {}', '6:5: machines.web-1.lables: unknown key (did you mean "labels"?)'],
    [
      'zzz: 1',
      '6:5: machines.web-1.zzz: unknown key (known: extends, driver, labels, options, via, ssh, engine, userData, protected, stopped, host)',
    ],
    [
      'constructor: 1',
      '6:5: machines.web-1.constructor: unknown key (known: extends, driver, labels, options, via, ssh, engine, userData, protected, stopped, host)',
    ],
    ['protected: "yes"', '6:16: machines.web-1.protected: expected true or false, got "yes"'],
    ['engine: docker', '6:13: machines.web-1.engine: expected "none" or a mapping, got "docker"'],
    [
      'engine: { chanel: test }',
      '6:15: machines.web-1.engine.chanel: unknown key (did you mean "channel"?)',
    ],
    [
      'engine: { channel: beta }',
      '6:24: machines.web-1.engine.channel: expected "distribution", "stable" or "test", got "beta"',
    ],
    [
      'engine: { version: 28.2 }',
      '6:24: machines.web-1.engine.version: expected a string, got 28.2 (quote it: "28.2")',
    ],
    [
      'engine: { version: "latest" }',
      '6:24: machines.web-1.engine.version: expected a version such as "28.2", got "latest"',
    ],
    [
      'engine: { version: "28", channel: distribution }',
      '6:39: machines.web-1.engine.channel: expected "stable" or "test" if "version" is set: a distribution has only one version, got "distribution"',
    ],
    [
      'via: -x',
      '6:10: machines.web-1.via: expected 1 to 63 ASCII letters, digits, "-" or ".", beginning and ending with a letter or digit, got "-x"',
    ],
    [
      'host: { phase: raedy }',
      '6:20: machines.web-1.host.phase: expected "creating", "ready" or "removing", got "raedy" (did you mean "ready"?)',
    ],
    [
      'host: { address: a }',
      '6:5: machines.web-1.host.phase: missing (expected "creating", "ready" or "removing")',
    ],
    [
      'host: { phase: ready, port: 70000 }',
      '6:33: machines.web-1.host.port: expected at most 65535, got 70000',
    ],
    [
      'host: { phase: ready, port: 2.5 }',
      '6:33: machines.web-1.host.port: expected a whole number, got 2.5',
    ],
    [
      'host: { phase: ready, id: "" }',
      '6:31: machines.web-1.host.id: expected a non-empty string, got ""',
    ],
    [
      'host: { phase: ready, created: today }',
      '6:36: machines.web-1.host.created: expected a time such as 2026-11-23T10:00:00Z, got "today"',
    ],
    [
      'host: { phase: ready, hostKeys: [ssh-rsa] }',
      '6:38: machines.web-1.host.hostKeys[0]: expected a public key without a comment (TYPE BASE64), got "ssh-rsa"',
    ],
    ['labels: { a: b, a: c }', '6:21: duplicate key'],
    [
      'labels: { a: *b }',
      '6:18: unknown or malformed alias (quote a value that begins with * or &)',
    ],
    [
      'labels: { a: !x b }',
      '6:18: unknown tag, or a tag that does not match the value (quote a value that begins with !)',
    ],
    ['labels: { a: @b }', '6:18: a value cannot begin with this character (quote it)'],
    ['labels: { __proto__: b }', '6:15: __proto__ cannot be a key'],
    ['\tlabels: {}', '6:5: tabs cannot be used for indentation; use spaces'],
  ])('%s', (lines, problem) => {
    expect(problemsOf(inEntry(lines))).toContain(`machines.yaml:${problem}`)
  })

  it.each(['/etc/x.yaml', '../x.yaml', 'a/../../x.yaml', 'C:/x.yaml', '~/x.yaml'])(
    'userData: %s, which is not portable',
    (file) => {
      expect(problemsOf(inEntry(`userData: ${file}`))).toContain(
        `machines.yaml:6:15: machines.web-1.userData: expected a path in the inventory's directory, without "..", got "${file}"`,
      )
    },
  )

  it.each([
    [
      'operators: { ana: AAAA }',
      '3:19: operators.ana: expected a public key (TYPE BASE64 COMMENT), got "AAAA"',
    ],
    ['machines: [1]', '3:11: machines: expected a mapping, got a list'],
    [
      'machines:\n  all: { driver: x }',
      '4:3: machines.all: invalid key: expected another name: "all" selects every machine',
    ],
    [
      'machines:\n  a_b: { driver: x }',
      '4:3: machines.a_b: invalid key: expected 1 to 63 ASCII letters, digits, "-" or ".", beginning and ending with a letter or digit',
    ],
    [
      'engine: { config: { debug: true } }',
      '3:1: engine: unknown key (settings that machines share belong in a profile: profiles.NAME.engine, and "extends: NAME" in each machine)',
    ],
    [
      'defaults: { engine: { config: { debug: true } } }',
      '3:13: defaults.engine: invalid key: expected a driver name: settings that machines share belong in a profile',
    ],
    ['machines:\n  a: {}', '4:3: machines.a.driver: missing (expected a string)'],
    [
      'machines:\n  a: { driver: ssh }',
      '4:3: machines.a.options.address: missing (expected a string)',
    ],
    [
      'machines:\n  a: { driver: ssh, options: { address: h, prt: 22 } }',
      '4:44: machines.a.options.prt: unknown key (did you mean "port"?)',
    ],
    [
      'machines:\n  a: { driver: ssh, options: { address: h, mode: fats } }',
      '4:50: machines.a.options.mode: expected "fast" or "slow", got "fats" (did you mean "fast"?)',
    ],
    [
      'defaults: { ssh: { prt: 22 } }',
      '3:20: defaults.ssh.prt: unknown key (did you mean "port"?)',
    ],
    [
      'defaults: { ssh: { port: x } }\nmachines:\n  a: { driver: ssh, options: { address: h } }',
      '3:26: defaults.ssh.port: expected a number, got "x"',
    ],
    ['---\nmachines: {}', '3:1: a second document begins here (---); only one is allowed'],
    [
      'machines:\n  a:\n    driver: ssh\n  b:\n    driver: ssh\n  a:\n    driver: ssh',
      '8:3: a is defined twice, first on line 4: rename one entry, or keep only one (fleet gc finds hosts that are not in the inventory)',
    ],
    [
      'machines:\n  a:\n    driver: ssh\n<<<<<<< HEAD\n  b:\n    driver: ssh\n=======\n  c:\n    driver: ssh\n>>>>>>> theirs',
      '6:1: unresolved git merge conflict in b, c',
    ],
    ['<<<<<<< HEAD\nmachines: {}\n=======\n>>>>>>> theirs', '3:1: unresolved git merge conflict'],
    [
      'a: &a [x]\nb: &b [*a]\nmachines: *c',
      '5:11: unknown or malformed alias (quote a value that begins with * or &)',
    ],
  ])('%s', (lines, problem) => {
    expect(problemsOf(`${head}${lines}\n`)).toContain(`machines.yaml:${problem}`)
  })

  it.each([
    ['', 'machines.yaml is empty'],
    ['# only a comment\n', 'machines.yaml is empty'],
    ['- 1\n', 'machines.yaml:1:1: expected a mapping, got a list'],
    [
      'version: 2\nid: x\nnew: 1\n',
      'machines.yaml:1:10: inventory version 2 is not supported: this version of fleet supports only version 1',
    ],
    ['version: 0\nid: 4f0c2f6e\n', 'machines.yaml:1:10: version: expected 1, got 0'],
    [
      'version: 1\nid: 12345678\n',
      'machines.yaml:2:5: id: expected a string, got 12345678 (quote it: "12345678")',
    ],
  ])('%j', (text, problem) => {
    expect(problemsOf(text)).toEqual([problem])
  })

  it('reports all problems in the order of the file, but at most ten in detail', () => {
    const labels = Array.from({ length: 12 }, (_, index) => `      l${index}: ${index}`).join('\n')
    const problems = problemsOf(inEntry(`nope: 1\n    labels:\n${labels}`))
    expect(problems).toHaveLength(11)
    expect(problems[0]).toMatch(/:6:5: .*unknown key/)
    expect(problems.at(-1)).toBe('and 3 more like these')
  })

  it('stops an alias bomb', () => {
    const levels = Array.from('abcdefgh', (name, index) => {
      const below = String.fromCodePoint(96 + index)
      return `${name}: &${name} [${Array.from({ length: 10 }, () => (index ? `*${below}` : 'x')).join(', ')}]`
    })
    expect(problemsOf(`${head}${levels.join('\n')}\n`)).toEqual([
      'machines.yaml:1:1: aliases expand to too much data',
    ])
  })
})

describe('secrets in an inventory', () => {
  const blob = 'abcdefghij'.repeat(4)
  const secrets = [
    ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----'],
    ['a private key', '-----BEGIN RSA PRIVATE KEY-----'],
    ['an AWS access key', `AKIA${'ABCD1234'.repeat(2)}`],
    ['an AWS secret key', `secretAccessKey: ${blob}`],
    ['a GitHub token', `ghp_${blob}`],
    ['a GitHub token', `github_pat_${blob}`],
    ['a GitLab token', `glpat-${blob}`],
    ['a Slack token', `xoxb-${blob}`],
    ['a Docker Hub token', `dckr_pat_${blob}`],
    ['a password in a URL', 'https://ana:geheim99@proxy:3128'],
  ] as const

  it.each(secrets)('%s is found in values and comments, and not shown', (kind, secret) => {
    for (const text of [
      inEntry(`labels: { a: b } # ${secret}`),
      inEntry(`options: { k: '${secret}' }`),
    ]) {
      const [problem, ...others] = problemsOf(text)
      expect(others).toEqual([])
      expect(problem).toMatch(/^machines\.yaml:6:\d+: /)
      expect(problem).toContain(`${kind} must not be in this file`)
      expect(problem).not.toContain(secret.slice(-12))
    }
  })

  it.each([
    'password: { a: hunter2 }',
    'labels: { password: 12345 }',
    'engine: 3fb9a1c07d5e4b2f8a6c',
    'host: { phase: dG9wLXNlY3JldC12YWx1ZQ }',
  ])('an invalid value that may be a secret is not shown: %s', (lines) => {
    const message = problemsOf(inEntry(lines)).join('\n')
    expect(message).toMatch(/unknown key|expected/)
    expect(message).not.toMatch(/hunter2|12345|3fb9a1|dG9wLX/)
  })

  it('public keys and fingerprints are not reported', () => {
    const host = `host: { phase: ready, key: 'SHA256:${'Ab3/'.repeat(10)}xyz', hostKeys: ['ssh-ed25519 ${'AAAA'.repeat(17)}'] }`
    expect(problemsOf(inEntry(host))).toEqual([])
  })
})

describe('a valid inventory', () => {
  it('keeps the order of the file, even for names that are numbers', () => {
    const text = `${head}machines:\n  z: { driver: x }\n  10: { driver: x }\n  2: { driver: x }\n  0x1: { driver: x }\n`
    const { machines } = inventoryOf(parseInventory(text, 'f', optionsOf).valid)
    expect([...machines.keys()]).toEqual(['z', '10', '2', '0x1'])
  })

  it('uses the default options, and can have any options for an unknown driver', () => {
    const text = `${head}defaults: { ssh: { address: h } }\nmachines:\n  a: { driver: ssh, options: { port: 2 } }\n  b: { driver: other, options: { any: [1] } }\n`
    expect(problemsOf(text)).toEqual([])
  })

  it('can use aliases and merge keys, even a thousand times', () => {
    const many = Array.from({ length: 1000 }, (_, index) => `  m${index}: { <<: *d, via: a }`)
    const text = `${head}machines:\n  a: &d\n    driver: x\n    labels: { k: v }\n${many.join('\n')}\n`
    const { machines } = inventoryOf(parseInventory(text, 'f', optionsOf).valid)
    expect(machines.get(parseMachineName('m999'))).toEqual({
      name: 'm999',
      driver: 'x',
      labels: { k: 'v' },
      via: 'a',
    })
  })

  it.each(['\uFEFF', '# c\r\n'])('can start with %j', (start) => {
    expect(problemsOf(`${start}${head}`)).toEqual([])
  })
})

describe('an inventory file', () => {
  let folder = ''
  let file = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-read-'))
    file = join(folder, 'machines.yaml')
  })
  afterAll(() => rm(folder, { recursive: true }))
  const store = (path = file) =>
    openFileInventory(path, { loadOptions: async () => ({ optionsOf }) })

  it.each([
    ['a NUL character', Buffer.from('version: 1\0'), 'NUL character at byte 10'],
    ['UTF-16 encoding', Buffer.from('version: 1', 'utf16le'), 'NUL character at byte 1'],
    ['invalid UTF-8', Buffer.from([0x61, 0xff]), 'the file contains invalid bytes'],
  ])('with %s is refused', async (_, bytes, message) => {
    await writeFile(file, bytes)
    await expect(store().read()).rejects.toMatchObject({
      kind: 'inventory',
      message: expect.stringContaining(message) as string,
    })
  })

  it('that is missing, a directory, or a link to itself is reported with the next step', async () => {
    const missing = store(join(folder, 'none.yaml'))
    const hint = { kind: 'inventory', hint: expect.stringContaining('fleet init') as string }
    await expect(missing.read()).rejects.toMatchObject(hint)
    await expect(missing.update(parseMachineName('a'), () => undefined)).rejects.toMatchObject(hint)
    await expect(store(folder).read()).rejects.toMatchObject({
      message: expect.stringContaining('the path is a directory') as string,
    })
    await symlink('loop.yaml', join(folder, 'loop.yaml'))
    await expect(store(join(folder, 'loop.yaml')).read()).rejects.toMatchObject({
      kind: 'inventory',
    })
  })

  const fragments = [
    'version: 1\n',
    'id: 4f0c2f6e\n',
    'machines:\n',
    '  a:\n',
    '    driver: x\n',
    '    host:\n',
    '      phase: ready\n',
    '{',
    '}',
    '[',
    ']',
    ': ',
    ' ',
    '\t',
    '\r',
    '\n',
    '- ',
    '? ',
    '*a',
    '&a ',
    '!!x ',
    '"',
    "'",
    '|',
    '>',
    '#',
    '---\n',
    '...\n',
    '%YAML 1.2\n',
    '<<: ',
    '__proto__: ',
    'constructor: ',
    '\0',
    '\uFEFF',
    'é',
    '<<<<<<< ',
    '1e999',
    '~',
  ]
  const valid = `${head}machines:\n  a:\n    driver: x\n    labels: { role: web }\n    host:\n      phase: ready\n`
  const mutated = fc
    .array(fc.tuple(fc.nat(valid.length), fc.nat(6), fc.constantFrom(...fragments)), {
      minLength: 1,
      maxLength: 4,
    })
    .map((cuts) =>
      cuts.reduce(
        (text, [at, length, put]) => text.slice(0, at) + put + text.slice(at + length),
        valid,
      ),
    )
  const malformed = fc.oneof(
    fc.array(fc.constantFrom(...fragments), { maxLength: 40 }).map((parts) => parts.join('')),
    mutated,
    fc.string({ unit: codePoint, maxLength: 200 }),
  )

  it('with arbitrary text causes no crash, and is only changed if it can be read', async () => {
    const name = parseMachineName('b')
    const refused = fc.asyncProperty(malformed, async (text) => {
      await writeFile(file, text)
      const before = await readFile(file)
      const inventory = store()
      const reading = await outcomeOf(inventory.read())
      await outcomeOf(inventory.update(name, () => undefined))
      expect((await readFile(file)).equals(before)).toBe(true)
      const writing = await outcomeOf(inventory.update(name, () => ({ driver: 'x' })))
      const wrote = !(await readFile(file)).equals(before)
      expect(wrote).toBe(writing === 'done')
      expect(reading === 'done' || !wrote).toBe(true)
      expect(await outcomeOf(inventory.read())).toBe(reading)
    })
    await fc.assert(refused, { numRuns: 1000 })
  })
})
