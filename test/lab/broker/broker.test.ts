import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type BrokerClient, openBrokerClient } from '../../../src/broker/client/client.ts'
import { brokerSocket } from '../../../src/broker/runtime-dir.ts'
import type { HostStatus } from '../../../src/broker/protocol.ts'
import type { BrokerOptions } from '../../../src/broker/server/server.ts'
import { openEngine } from '../../../src/engine/http-engine.ts'
import { readInfo } from '../../../src/engine/system.ts'
import { dialEngine } from '../../../src/operations/connect/reach-engine.ts'
import { run } from '../../../src/transport/run.ts'
import {
  type Prompt,
  type SshOptions,
  type SshTarget,
  connectSsh,
} from '../../../src/transport/ssh/connect.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { findProcess } from '../../../src/operations/connect/running-processes.ts'
import { type TestBroker, noDirect, startTestBroker } from '../../support/crash/test-broker.ts'
import { type Lab, type LabHost, labIsHere, password, startLab } from '../../support/lab/lab.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

const env = { HOME: '/nowhere' }
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no failure',
    ({ name, kind, machine, message, hint }) => ({ name, kind, machine, message, hint }),
  )

async function keeper(options?: Partial<BrokerOptions>): Promise<TestBroker> {
  const started = await startTestBroker(options)
  onTestFinished(() => started[Symbol.asyncDispose]())
  return started
}
async function hostsOf(client: BrokerClient): Promise<readonly HostStatus[]> {
  const status = await client.status()
  return typeof status === 'object' ? status.hosts : []
}
const silent = () => new Promise<string>(() => {})
const refuse = () => Promise.reject(new Error('no answer'))

describe.skipIf(!labIsHere)('the broker', () => {
  let lab: Lab
  let host: LabHost
  let target: SshTarget

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, sshdOptions: { PasswordAuthentication: 'yes' } })
    host = hostOf(lab)
    target = targetOf(lab, host)
  })
  afterAll(() => lab[Symbol.asyncDispose]())

  /** Connects to the first host, as a command does. */
  async function connect(
    client: BrokerClient,
    {
      to = target,
      prompt,
      ...more
    }: { to?: SshTarget; prompt?: Prompt; env?: SshOptions['env'] } = {},
  ): Promise<Transport> {
    const options = { env, ...more, prompt }
    const transport = await client.connect({ ...to, via: undefined }, options, noDirect)
    onTestFinished(() => transport[Symbol.asyncDispose]())
    return transport
  }
  const logins = async () => Number((await host.exec("pgrep -c -f '^sshd: root@'")).stdout)

  test('opens one connection for all commands, and shows it', async () => {
    const { client, openClient, folder } = await keeper()
    const before = await logins()
    const ways = await Promise.all(Array.from({ length: 5 }, () => connect(openClient())))
    const answers = await Promise.all(ways.map((way) => run(way, ['hostname'])))
    expect(answers.map(({ stdout }) => stdout)).toEqual(ways.map(() => 'h1\n'))
    await Promise.all(ways.map((way) => way[Symbol.asyncDispose]()))
    expect((await logins()) - before).toBe(1)
    await vi.waitFor(async () => {
      const { address } = host
      const shown = { machine: 'h1', user: 'root', address, port: 22, state: 'connected', uses: 0 }
      expect(await client.status()).toMatchObject({ pid: process.pid, hosts: [shown] })
    }, 120_000)
    expect((await stat(brokerSocket(folder))).mode & 0o777).toBe(0o600)
  })

  test('runs more shells than one connection allows', async () => {
    const { client } = await keeper()
    const way = await connect(client)
    const shells = await Promise.all(Array.from({ length: 20 }, () => way.exec(['cat'])))
    for (const shell of shells) shell.stdin.end('hi')
    expect(await Promise.all(shells.map(({ stdout }) => text(stdout)))).toEqual(
      shells.map(() => 'hi'),
    )
  })

  test('reports failures like a direct connection', async () => {
    const { client } = await keeper()
    const other = hostOf(lab, 2).hostKey
    for (const to of [
      { ...target, port: 2 },
      { ...target, address: 'no-such-host.invalid' },
      { ...target, hostKeys: [other] },
      { ...target, hostKeys: [] },
      { ...target, identityFiles: [] },
    ]) {
      const directly = await failureOf(connectSsh(to, { env }))
      expect(await failureOf(connect(client, { to }))).toEqual(directly)
    }
  })

  test("prompts each user in the terminal of that user's command", async () => {
    const { client, openClient } = await keeper()
    const to = { ...target, user: 'ana', identityFiles: [] }
    const asked: string[] = []
    const prompt: Prompt = async ({ text: words, from }) => {
      asked.push(`(${from}) ${words}`)
      return password
    }
    const leaving = new AbortController()
    const never = client.connect(
      { ...to, via: undefined },
      { env, prompt: silent, signal: leaving.signal },
      noDirect,
    )
    await vi.waitFor(
      async () => expect((await hostsOf(client))[0]?.state).toBe('connecting'),
      120_000,
    )
    const way = await connect(client, { to, prompt })
    expect((await run(way, ['whoami'])).stdout).toBe('ana\n')
    expect(asked).toEqual([`(ana@${host.address}) Password:`])
    const nobody = await connect(openClient(), { to })
    expect((await run(nobody, ['whoami'])).stdout).toBe('ana\n')
    leaving.abort(new Error('went away'))
    await expect(never).rejects.toThrow('went away')
  })

  test('ends a connection attempt when the user cancels the prompt', async () => {
    const { client } = await keeper()
    const to = { ...target, user: 'ana', identityFiles: [] }
    await expect(connect(client, { to, prompt: refuse })).rejects.toThrow('no answer')
    await vi.waitFor(async () => expect((await hostsOf(client))[0]?.state).toBe('closed'), 120_000)
  })

  test('does not use the agent of one command for another command', async () => {
    const { client, folder } = await keeper()
    const agent = join(folder, 'agent')
    const execute = promisify(execFile)
    const { stdout } = await execute('ssh-agent', ['-a', agent])
    const pid = Number(/\d+/.exec(stdout.replace(/^.*AGENT_PID=/s, ''))?.[0])
    onTestFinished(() => void process.kill(pid))
    await execute('ssh-add', ['-q', lab.identity.file], { env: { SSH_AUTH_SOCK: agent } })
    const to = { ...target, identityFiles: [] }
    const way = await connect(client, { to, env: { ...env, SSH_AUTH_SOCK: agent } })
    expect((await run(way, ['whoami'])).stdout).toBe('root\n')
    await expect(connect(client, { to })).rejects.toMatchObject({ kind: 'credentials' })
  })

  test('uses the default key in the home directory of the caller', async () => {
    const { client, folder } = await keeper()
    const home = join(folder, 'home')
    await mkdir(join(home, '.ssh'), { recursive: true })
    await copyFile(lab.identity.file, join(home, '.ssh/id_ed25519'))
    const to = { ...target, identityFiles: [] }
    await connect(client, { to, env: { HOME: home } })
    await expect(connect(client, { to })).rejects.toMatchObject({ kind: 'credentials' })
  })

  test('connects through jump hosts', async () => {
    const { client } = await keeper()
    const far = targetOf(lab, hostOf(lab, 2))
    const via = { ...target, via: undefined }
    await using way = await client.connect({ ...far, via }, { env }, noDirect)
    expect((await run(way, { shell: 'hostname; echo ${SSH_CONNECTION%% *}' })).stdout).toBe(
      `h2\n${host.address}\n`,
    )
    expect(await hostsOf(client)).toHaveLength(2)
  })

  test('terminates a command when its caller aborts it', async () => {
    const { client } = await keeper()
    const way = await connect(client)
    const ending = new AbortController()
    const { stdout, exit } = await way.exec(
      { shell: 'echo $$; exec sleep 1000' },
      { signal: ending.signal },
    )
    const [pid] = (await once(stdout, 'data')) as [Buffer]
    ending.abort(new Error('enough'))
    await expect(exit).rejects.toThrow('enough')
    await vi.waitFor(async () => {
      expect((await host.exec(`kill -0 ${String(pid)}`)).code).toBe(1)
    }, 120_000)
  })

  test('closes unused connections, and then exits', async () => {
    const { client, broker, folder } = await keeper({ idleMs: 200, idleExitMs: 200 })
    const before = await logins()
    const way = await connect(client)
    await run(way, ['sleep', '0.5'])
    expect(await logins()).toBe(before + 1)
    await way[Symbol.asyncDispose]()
    await vi.waitFor(async () => expect(await logins()).toBe(before), 120_000)
    await broker.ended
    await expect(stat(brokerSocket(folder))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await client.status()).toBe(undefined)
  })

  test('reports a lost connection to its users, and reconnects on the next request', async () => {
    const { client } = await keeper()
    const way = await connect(client)
    const command = await way.exec(['sleep', '1000'])
    const lost = { kind: 'unreachable', message: 'the connection to h1 was lost' }
    const losses = Promise.allSettled([way.lost, command.exit])
    await host.stop()
    const reason = expect.objectContaining(lost)
    expect(await losses).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ])
    await expect(run(way, ['true'])).rejects.toMatchObject({ kind: 'unreachable' })
    await host.start()
    expect((await run(way, ['hostname'])).stdout).toBe('h1\n')
  })

  test('retires for another build without interrupting running commands', async () => {
    const { client, openClient, folder, broker } = await keeper()
    const way = await connect(client)
    const command = await way.exec(['cat'])
    const direct = () => connectSsh(target, { env })
    await using other = await openClient('other').connect(
      { ...target, via: undefined },
      { env },
      direct,
    )
    expect((await run(other, ['hostname'])).stdout).toBe('h1\n')
    await expect(stat(brokerSocket(folder))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await openClient('other').status()).toBe(undefined)
    command.stdin.end('still here')
    expect(await text(command.stdout)).toBe('still here')
    expect(await command.exit).toEqual({ code: 0 })
    await way[Symbol.asyncDispose]()
    await broker.ended
  })

  test('retires when another build stops it, but waits for running commands', async () => {
    const { client, openClient, broker } = await keeper()
    const way = await connect(client)
    const command = await way.exec(['cat'])
    expect(await openClient('other').stop()).toBe('retired')
    command.stdin.end('still here')
    expect(await text(command.stdout)).toBe('still here')
    await way[Symbol.asyncDispose]()
    await broker.ended
  })

  test('interrupts open channels when it stops, and the next command connects directly', async () => {
    const { client, broker } = await keeper()
    const direct = () => connectSsh(target, { env })
    await using way = await client.connect({ ...target, via: undefined }, { env }, direct)
    const command = await way.exec(['sleep', '1000'])
    const socket = await way.dial({ host: '127.0.0.1', port: 22 })
    const broken = once(socket, 'error')
    await broker.stop()
    const ended = {
      kind: 'unreachable',
      message: "the connection to h1 was lost: fleet's background process (the broker) stopped",
    }
    await expect(command.exit).rejects.toMatchObject(ended)
    await expect(way.lost).rejects.toMatchObject(ended)
    expect(await broken).toEqual([expect.objectContaining(ended)])
    expect((await run(way, ['hostname'])).stdout).toBe('h1\n')
  })

  test.each([
    { user: 'ana', sshdOptions: {}, relayed: false },
    { user: 'ana', sshdOptions: { AllowStreamLocalForwarding: 'no' }, relayed: true },
    { user: 'bob', sshdOptions: {}, relayed: true },
  ])(
    'determines the connection method to the engine for $user once, with the sshd options $sshdOptions',
    async ({ user, sshdOptions, relayed }) => {
      await using engines = await startLab({ hosts: 1, engine: true, image: true, sshdOptions })
      const { client } = await keeper()
      const far = hostOf(engines)
      const to = { ...targetOf(engines, far), user }
      const asks = async () => {
        const way = await connect(client, { to })
        const engine = openEngine(dialEngine(way, '/var/run/docker.sock', 'h1'), { label: 'h1' })
        const { Name } = await readInfo(engine)
        await engine[Symbol.asyncDispose]()
        return Name
      }
      expect(await asks()).toBe('h1')
      // More streams than a connection allows sessions; a stream that a process relays needs a separate session.
      const way = await connect(client, { to })
      const dial = dialEngine(way, '/var/run/docker.sock', 'h1')
      const streams = await Promise.all(Array.from({ length: 20 }, dial))
      for (const stream of streams) stream.write('GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n')
      const answers = await Promise.all(streams.map((stream) => once(stream, 'data')))
      expect(answers.every(([chunk]) => String(chunk).startsWith('HTTP/1.1 200'))).toBe(true)
      const links = (await hostsOf(client)).length
      expect(links > 1).toBe(relayed)
      for (const stream of streams) stream.destroy()
    },
  )

  test('is not used if other users can access its directory', async () => {
    const { folder } = await keeper()
    const open = join(folder, 'open')
    await mkdir(open, { mode: 0o755 })
    const client = openBrokerClient({
      folder: open,
      build: 'this',
      program: 'none.js',
      env: {},
      findProcess,
    })
    const direct = () => connectSsh(target, { env })
    await using way = await client.connect({ ...target, via: undefined }, { env }, direct)
    expect((await run(way, ['hostname'])).stdout).toBe('h1\n')
  })
})
