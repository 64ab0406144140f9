import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openBrokerClient } from '../../../src/broker/client/client.ts'
import { forwarding } from '../../../src/operations/forward/forwarding.ts'
import { startBrokerServer } from '../../../src/broker/server/server.ts'
import { runCli } from '../../../src/cli/program.ts'
import { UserError } from '../../../src/errors.ts'
import { findSecrets } from '../../../src/machine/secrets/find-secrets.ts'
import { createRedactor } from '../../../src/os/redact.ts'
import {
  type Tracer,
  ignored,
  readTopics,
  runTraced,
  trace,
  traceError,
  traceRequest,
  traceTopics,
} from '../../../src/os/trace.ts'
import type { Transport } from '../../../src/transport/transport.ts'

/** Creates a tracer that collects its lines. */
function keepLines(topics: readonly string[] = traceTopics, env = {}) {
  let text = ''
  const tracer: Tracer = {
    ...{ id: 'abc123', topics, redact: createRedactor(findSecrets, env) },
    write: (lines) => (text += lines),
  }
  return { tracer, lines: () => text.split('\n').slice(0, -1), text: () => text }
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-trace-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('FLEET_DEBUG', () => {
  test.each(['', '0', 'off', 'false', undefined])(
    'with the value %j traces nothing',
    (FLEET_DEBUG) => {
      expect(readTopics({ FLEET_DEBUG })).toEqual([])
    },
  )
  test.each(['1', 'all', 'TRUE', 'ssh,all'])(
    'with the value %j traces everything',
    (FLEET_DEBUG) => {
      expect(readTopics({ FLEET_DEBUG })).toEqual(traceTopics)
    },
  )
  test('accepts a list of topics', () => {
    expect(readTopics({ FLEET_DEBUG: 'ssh, engine' })).toEqual(['ssh', 'engine'])
  })
  test('with an unknown topic is an error that names the topic', () => {
    expect(() => readTopics({ FLEET_DEBUG: 'ssh,shs' })).toThrow(UserError)
    expect(() => readTopics({ FLEET_DEBUG: 'ssh,shs' })).toThrow(/"shs"/)
  })
})

/** Returns work that traces several lines, and lets other work run before each line. */
const traceSlowly = (line: string) => async () => {
  for (let turn = 0; turn < 3; turn += 1) {
    await Promise.resolve()
    trace('ssh', line)
  }
}

describe('trace lines', () => {
  test('contain the time, the topic and the ID of the command', async () => {
    const { tracer, lines } = keepLines()
    await runTraced(tracer, async () => trace('ssh', 'connect\nto web-1'))
    expect(lines()).toEqual([
      expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z ssh abc123 connect \| to web-1$/),
    ])
  })

  test('are written only for the requested topics, and otherwise not even computed', async () => {
    const { tracer, lines } = keepLines(['ssh'])
    const make = vi.fn<() => string>(() => 'never')
    await runTraced(tracer, async () => trace('engine', make))
    trace('ssh', make)
    expect(make).not.toHaveBeenCalled()
    expect(lines()).toEqual([])
  })

  test('of concurrent commands are separated', async () => {
    const [one, two] = [keepLines(), keepLines()]
    await Promise.all([
      runTraced(one.tracer, traceSlowly('one')),
      runTraced(two.tracer, traceSlowly('two')),
    ])
    expect(one.text()).not.toContain('two')
    expect(two.text()).not.toContain('one')
    expect([one.lines().length, two.lines().length]).toEqual([3, 3])
  })

  test('contain ignored errors with their causes', async () => {
    const { tracer, text } = keepLines()
    const cause = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    await runTraced(tracer, async () => {
      const failing = Promise.reject(new Error('the connection broke', { cause }))
      expect(await failing.catch(ignored('ssh', 'ask the host', 'nothing'))).toBe('nothing')
    })
    expect(text()).toContain(
      'cannot ask the host: the connection broke, caused by: read ECONNRESET',
    )
  })

  test('contain no control characters', async () => {
    const { tracer, text } = keepLines()
    await runTraced(tracer, async () => trace('ssh', 'red \u001B[31m \u009B31m'))
    expect(text()).toContain('red ?[31m ?31m')
  })
})

const random = 'kR3vT9xQ2mWc7ZpL5yJd8HsBnF4gAe6U'
const { privateKey } = generateKeyPairSync('ed25519', {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const keyBody = privateKey.split('\n')[1] ?? ''

/** Secrets that must not appear in a trace, and where they could come from. */
const canaries: readonly (readonly [where: string, text: string, secret: string])[] = [
  ['a private key', `cannot read ${privateKey}`, keyBody],
  ['a private key in user-data', `user-data was: #cloud-config\n${privateKey}`, keyBody],
  ['a GitHub token', `refused: ghp_${random}abcd`, `${random}abcd`],
  ['an Authorization header', `Authorization: Bearer ${random}1`, `${random}1`],
  ['an AWS secret key', 'the key wJalrXUtnFEMIK7MDENGbPxRfiCYzzkeycanary1 is wrong', 'wJalrXUtn'],
  ['a password in a URL', 'GET https://ana:s3cr3t-canary@registry.example/v2/', 's3cr3t-canary'],
  ['a password recognized by its name', 'password: hunter2-canary-9', 'hunter2-canary-9'],
  [
    'user-data in base64',
    Buffer.from(`password: hunter2-canary-9\n`).toString('base64'),
    'aHVudGVy',
  ],
  [
    'the value of an environment variable',
    'login with blue-canary-horse failed',
    'blue-canary-horse',
  ],
  ['an MFA code in an environment variable', 'the code 493817 is wrong', '493817'],
]
const secretEnvironment = { MY_PASSWORD: 'blue-canary-horse', AWS_MFA_CODE: '493817' }

describe('secrets do not appear in traces', () => {
  test.each(canaries)('%s', async (_where, content, secret) => {
    const { tracer, text } = keepLines(traceTopics, secretEnvironment)
    await runTraced(tracer, async () => {
      trace('ssh', content)
      traceError('aws', 'send a request', new Error('refused', { cause: new Error(content) }))
    })
    expect(text().split('\n')).toHaveLength(3)
    expect(text()).not.toContain(secret)
  })

  test('command lines are traced without values', async () => {
    const file = join(folder, 'trace.log')
    const io = {
      ...{ stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() },
      ...{ cwd: folder, signal: new AbortController().signal },
      env: { HOME: folder, FLEET_HOME: join(folder, 'home'), ...secretEnvironment },
    }
    const traced = { ...io, env: { ...io.env, FLEET_DEBUG: '1', FLEET_DEBUG_FILE: 'trace.log' } }
    const argv = [
      '-m',
      'web',
      'exec',
      '-e',
      'PIN=canary-1',
      '-ecanary-2',
      '--env=X=canary-3',
      'app',
    ]
    const program = { version: '0', io: traced }
    expect(await runCli([...argv, 'mysql', '-pcanary-4', 'canary-5'], program)).not.toBe(0)
    const text = await readFile(file, 'utf8')
    expect(text).toMatch(/ command \w{6} fleet -m … exec -e … -e… --env=… …/)
    expect(text).not.toMatch(/canary|493817/)
    expect((await stat(file)).mode & 0o077).toBe(0)
  })
})

const nobody = async () => undefined
const noDirect = () => Promise.reject(new Error('not directly'))

test('the broker sends trace lines of its work for a command to that command', async () => {
  const place = join(folder, 'run')
  await mkdir(place, { mode: 0o700 })
  const transport = {
    lost: new Promise<never>(() => {}),
    async [Symbol.asyncDispose]() {},
  } as Partial<Transport> as Transport
  const broker = await startBrokerServer({
    ...{ socket: join(place, 'broker.sock'), build: 'b', isAlive: async () => true },
    engines: { needsSession: () => false, dial: () => Promise.reject(new Error('no engine')) },
    runCommand: () => Promise.reject(new Error('not here')),
    serveSocket: () => Promise.reject(new Error('no sockets')),
    forwarding,
    async connect() {
      trace('ssh', 'shake hands, with the token ghp_0123456789abcdefghijABCDEFGHIJ012345')
      return transport
    },
  })
  const target = {
    ...{ machine: 'web', address: '203.0.113.7', port: 22, user: 'root' },
    ...{ hostKeys: ['k'], identityFiles: [] },
  }
  const client = openBrokerClient({
    folder: place,
    program: '',
    build: 'b',
    env: {},
    findProcess: nobody,
  })
  const { tracer, text } = keepLines(['ssh', 'broker'])
  await runTraced(tracer, async () => {
    expect(traceRequest()).toEqual({ id: 'abc123', topics: ['ssh', 'broker'] })
    await (await client.connect(target, { env: {} }, noDirect))[Symbol.asyncDispose]()
  })
  expect(text()).toMatch(/ ssh abc123 shake hands, with the token \[removed: a GitHub token\]\n/)
  expect(text()).not.toContain('ghp_')
  await broker.stop()
})
