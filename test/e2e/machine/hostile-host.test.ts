import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endOfArchive, entry } from '../../support/hostile/hostile-archive.ts'
import { type HostileHost, startHostileHost } from '../../support/hostile/hostile-host.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

// Hosts under an attacker's control: what they send is data, their failures are isolated, and users are not deceived.

const execute = promisify(execFile)

/** Writes to the clipboard, clears the screen, imitates a prompt, switches to right-to-left. */
const sequences = '\u001B]52;c;cm0K\u0007\u001B[2J\u001B[H\u202Efleet: Passphrase:\u009B31m'
// oxlint-disable-next-line no-control-regex
const acted = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u202E]/

let host: HostileHost
let other: HostileHost
let ana: TestUser

beforeAll(async () => {
  host = await startHostileHost()
  other = await startHostileHost()
  ana = await makeTestUser()
  await execute('ssh-keygen', [
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-f',
    join(ana.home, '.ssh/id_ed25519'),
  ])
  await inventory(host.entry('evil') + other.entry('good'))
})
afterAll(async () => {
  await ana?.[Symbol.asyncDispose]()
  await host?.[Symbol.asyncDispose]()
  await other?.[Symbol.asyncDispose]()
})

const inventory = (entries: string) =>
  writeFile(join(ana.folder, 'machines.yaml'), `version: 1\nid: 0123abcd\nmachines:\n${entries}`)

const answering = (body: string, status = 200) => ({
  engine: (_request: unknown, response: ServerResponse) => {
    response.statusCode = status
    response.end(body)
  },
})

const container = {
  Id: 'a'.repeat(64),
  Names: ['/web'],
  Image: 'app:1',
  ImageID: 'sha256:0',
  Command: 'x',
  Created: 1,
  Ports: [],
  Labels: {},
  State: 'running',
  Status: 'Up',
}

describe('control characters from a host are escaped', () => {
  test.each([
    ['in an error message', answering(JSON.stringify({ message: sequences }), 500)],
    ['in a response that is not JSON', answering(sequences)],
    [
      'in names and labels',
      answering(
        JSON.stringify([
          {
            ...container,
            Names: [`/${sequences}`],
            Image: sequences,
            Status: sequences,
            Labels: { [sequences]: sequences },
          },
        ]),
      ),
    ],
  ])('%s', async (_where, behaviour) => {
    host.behave(behaviour)
    for (const words of [['ps'], ['ps', '-q'], ['ps', '--json'], ['images'], ['logs', 'c']]) {
      const { stdout, stderr } = await ana.fleet(['-m', 'evil', ...words])
      expect([words, `${stdout}${stderr}`]).not.toEqual([words, expect.stringMatching(acted)])
      expect(stdout + stderr).not.toBe('')
    }
  })

  test('in events, each on one line', async () => {
    const event = {
      Type: 'x',
      Action: `die\nfleet: ${sequences}`,
      Actor: { ID: 'a', Attributes: {} },
      time: 1,
      timeNano: 1e9,
    }
    host.behave(answering(JSON.stringify(event)))
    const { stdout } = await ana.fleet(['-m', 'evil', 'events', '--until', '1s'])
    expect(stdout).toMatch(/^\S+ x die fleet: \\u001b.*\n$/)
    expect(stdout).not.toMatch(acted)
  })

  test('in the error output of a failed command', async () => {
    host.behave({ errorOutput: sequences })
    const { stderr } = await ana.fleet(['cp', 'evil:x', '.'])
    expect(stderr).not.toMatch(acted)
  })
})

describe('an invalid engine response fails only its machine', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const bodies: readonly (readonly [name: string, body: string])[] = [
    ...['{}', '[{}]', '[null]', 'null', '"x"', '[[]]', '{"message":1}', '[', '1e999'].map(
      (body) => [body, body] as const,
    ),
    ['an empty body', ''],
    ['deeply nested lists', deep],
    ...[
      { Id: 1 },
      { Created: '1' },
      { Created: 1e300 },
      { Ports: {} },
      { Labels: [1] },
      { Names: 'x' },
    ].map((part) => {
      const name = `a container with ${JSON.stringify(part)}`
      return [name, JSON.stringify([{ ...container, ...part }])] as const
    }),
    [
      'a container with a __proto__ key',
      `[${JSON.stringify(container).replace('{', '{"__proto__":{"x":1},')}]`,
    ],
    [
      'a container with deeply nested lists',
      `{"Id":"a","Name":"n","Config":{"Image":"i"},"State":{"Status":"s","Running":true,"ExitCode":0},"More":${deep}}`,
    ],
  ]

  test.each(bodies)('%s', async (_name, body) => {
    host.behave(answering(body))
    const commands = [
      ['ps'],
      ['images'],
      ['df'],
      ['history', 'x'],
      ['container', 'inspect', 'x'],
      ['stats', '--no-stream', 'x'],
    ]
    const ended = await Promise.all(commands.map((words) => ana.fleet(['-m', 'evil', ...words])))
    for (const [index, { code, stderr }] of ended.entries()) {
      const words = commands[index]
      expect([words, code, stderr]).toEqual([
        words,
        expect.toSatisfy((code) => code === 0 || code === 1),
        stderr,
      ])
      expect(stderr).not.toContain('bug in fleet')
      const failure = stderr.replaceAll('waiting for evil\n', '') // printed if the computer is slow
      expect(code === 0 ? '' : failure).toMatch(/^$|^fleet: evil: .*the response from the engine/)
    }
  })

  test('while the other machines are listed', async () => {
    host.behave(answering('[{"Id":1}]'))
    other.behave(answering(JSON.stringify([container])))
    const { code, stdout, stderr } = await ana.fleet(['ps', '--all'])
    expect(code).toBe(1)
    expect(stdout).toContain('good\t')
    expect(stderr).toContain(
      'evil: cannot read the response from the engine: [0].Id is a number, not a string',
    )
  })

  test('if it never ends', async () => {
    host.behave({
      engine(_request, response) {
        const chunk = `["${'x'.repeat(1 << 20)}",`
        const more = () => {
          while (!response.destroyed && response.write(chunk));
          response.once('drain', more)
        }
        more()
      },
    })
    const { code, stderr } = await ana.fleet(['-m', 'evil', 'ps'])
    expect(code).toBe(1)
    expect(stderr).toContain(
      'evil: cannot read the response from the engine: the response body is longer than',
    )
  })

  test('if the engine refuses every API version', async () => {
    let asked = 0
    host.behave({
      engine(_request, response) {
        asked += 1
        response.statusCode = 400
        response.setHeader('Api-Version', asked % 2 === 0 ? '1.41' : '1.42').end('{"message":"no"}')
      },
    })
    const { code, stderr } = await ana.fleet(['-m', 'evil', 'ps'])
    expect([code, stderr]).toEqual([1, 'fleet: evil: no\n'])
    expect(asked).toBeLessThan(10)
  })
})

test('a host that does not respond is named, and times out', async () => {
  host.behave({ engine: () => {} })
  other.behave(answering(JSON.stringify([container])))
  const { code, stdout, stderr } = await ana.fleet(['ps', '--all', '--timeout', '4'])
  expect(code).toBe(1)
  expect(stdout).toContain('good\t')
  expect(stderr).toContain('waiting for evil\n')
  expect(stderr).toContain('evil: no answer within 4 s')
})

describe('a login prompt of a host', () => {
  const imitation = `Passphrase for /home/ana/.ssh/id_ed25519:${sequences}`

  test('shows the login on every line', async () => {
    host.behave({
      questions: {
        name: 'fleet: all is well',
        instructions: 'first\nfleet: second',
        texts: ['Code:'],
      },
    })
    const { screen } = await ana.fleetOnTerminal(
      ['ssh', 'evil', '--', 'true'],
      [{ at: ') Code:', type: '123\r' }],
    )
    expect(host.answers).toContain('123')
    for (const line of ['fleet: all is well', 'first', 'fleet: second', 'Code:']) {
      expect(screen).toContain(`(bob@127.0.0.1) ${line}`)
    }
  })

  test('that imitates a prompt of fleet requires a confirmation before it is answered', async () => {
    host.behave({ questions: { texts: [imitation] } })
    const { code, screen } = await ana.fleetOnTerminal(
      ['ssh', 'evil', '--', 'true'],
      [{ at: 'do not answer', type: 'my real passphrase\r' }],
    )
    expect(code).toBe(130)
    expect(screen).toContain('(bob@127.0.0.1) Passphrase for')
    expect(screen).not.toContain('\u001B]52')
    expect(host.answers).not.toContain('my real passphrase')
  })
})

const top = (name: string) => entry({ name, type: '5', mode: 0o755 })
const found = (kind: string, name: string, link = '') =>
  [kind, link, name, ''].join('\0').concat('\0')

/**
 * Returns the behavior of a host that answers the inspection before a copy with `look`, and then sends `parts` as the
 * archive.
 */
const sending = (look: string, ...parts: Buffer[]) => ({
  output: (command: string) =>
    command.includes('tar -cf') || / -cf - /.test(command)
      ? Buffer.concat([...parts, endOfArchive])
      : look,
})

/** Copies into a directory that has neighboring files. Resolves to the result and the names of all new files. */
async function copyFrom(path: string) {
  const home = await mkdtemp(join(ana.folder, 'copy-'))
  const cwd = join(home, 'work/downloads')
  await mkdir(cwd, { recursive: true })
  await mkdir(join(home, '.ssh'), { mode: 0o700 })
  await writeFile(join(home, '.bashrc'), 'my own')
  await writeFile(join(cwd, '.bashrc'), 'my own')
  const env = { FLEET_INVENTORY: join(ana.folder, 'machines.yaml') }
  const { code, stderr } = await ana.fleet(['cp', `evil:${path}`, '.'], { cwd, env })
  const { mode } = await stat(join(home, '.ssh'))
  const names = (await readdir(home, { recursive: true })).sort()
  const kept = [
    await readFile(join(home, '.bashrc'), 'utf8'),
    await readFile(join(cwd, '.bashrc'), 'utf8'),
  ]
  expect([kept, mode & 0o777]).toEqual([['my own', 'my own'], 0o700])
  await rm(home, { recursive: true })
  return {
    code,
    stderr,
    names: names.filter(
      (name) => !/^(?:\.ssh|\.bashrc|work(?:\/downloads(?:\/\.bashrc)?)?)$/.test(name),
    ),
  }
}

describe('a malicious host of a copy', () => {
  test('does not control the name of the copy', async () => {
    host.behave(sending(found('file', '.bashrc'), entry({ name: './notes.txt' }, 'x')))
    expect(await copyFrom('notes.txt')).toMatchObject({
      code: 0,
      names: ['work/downloads/notes.txt'],
    })
    for (const name of ['../../.ssh', '..', '/x', 'a\nb', '']) {
      host.behave(
        sending(found('folder', name), top('.'), entry({ name: './authorized_keys' }, 'x')),
      )
      expect(await copyFrom('.')).toMatchObject({ code: 1, names: [] })
    }
    host.behave(
      sending(found('folder', '../../.ssh', 'link'), top('.'), entry({ name: './x' }, 'x')),
    )
    expect(await copyFrom('dir/')).toMatchObject({
      code: 0,
      names: ['work/downloads/dir', 'work/downloads/dir/x'],
    })
    host.behave(sending(found('folder', 'bob'), top('.'), entry({ name: './x' }, 'x')))
    expect(await copyFrom('~')).toMatchObject({
      names: ['work/downloads/bob', 'work/downloads/bob/x'],
    })
  })

  test.each([
    ['a file with another name', 'file', [entry({ name: './.bashrc' }, 'x')]],
    ['a directory instead of a file', 'file', [top('./notes'), entry({ name: './notes/x' }, 'x')]],
    ['a file instead of a directory', 'folder', [entry({ name: './' }, 'x')]],
    [
      'a name outside the directory',
      'folder',
      [top('.'), entry({ name: '../../.ssh/authorized_keys' }, 'x')],
    ],
    [
      'a file below a symbolic link',
      'folder',
      [
        top('.'),
        entry({ name: './l', type: '2', linkname: '../../../.ssh' }),
        entry({ name: './l/authorized_keys' }, 'x'),
      ],
    ],
    [
      'a directory that replaces a symbolic link',
      'folder',
      [
        top('.'),
        entry({ name: './l', type: '2', linkname: '../../../.ssh' }),
        entry({ name: './l', type: '5', mode: 0o777 }),
      ],
    ],
    [
      'a truncated archive',
      'file',
      [entry({ name: './notes' }, 'x'.repeat(2000)).subarray(0, 900)],
    ],
    ['an invalid archive', 'file', [Buffer.from('nonsense')]],
    ['an empty archive', 'file', []],
  ] as const)('cannot send %s', async (_what, kind, parts) => {
    host.behave(sending(found(kind, 'notes'), ...parts))
    const { code, stderr, names } = await copyFrom('notes')
    expect([code, names]).toEqual([1, []])
    expect(stderr).toMatch(/the archive was rejected|archive is invalid/)
    expect(stderr).not.toContain('bug in fleet')
  })

  test('cannot place a link to write through later', async () => {
    host.behave(
      sending(found('file', ''), entry({ name: './notes', type: '2', linkname: '.bashrc' })),
    )
    const cwd = await mkdtemp(join(ana.folder, 'copy-'))
    const env = { FLEET_INVENTORY: join(ana.folder, 'machines.yaml') }
    await writeFile(join(cwd, '.bashrc'), 'my own')
    expect(await ana.fleet(['cp', 'evil:notes', '.'], { cwd, env })).toMatchObject({ code: 1 })
    expect(await readdir(cwd)).toEqual(['.bashrc'])
    host.behave(sending(found('file', ''), entry({ name: './notes' }, 'evil')))
    expect(await ana.fleet(['cp', 'evil:notes', '.'], { cwd, env })).toMatchObject({ code: 0 })
    expect(await readFile(join(cwd, '.bashrc'), 'utf8')).toBe('my own')
    expect(await readFile(join(cwd, 'notes'), 'utf8')).toBe('evil')
  })

  test('is reported if its response is invalid', async () => {
    host.behave({ output: () => 'no such thing' })
    const { code, stderr } = await copyFrom('notes')
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('the host returned an unknown file type'),
    ])
  })
})
