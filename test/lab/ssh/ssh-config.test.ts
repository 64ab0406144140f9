import { randomUUID } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { run } from '../../../src/transport/run.ts'
import { type Prompt, type SshTarget, connectSsh } from '../../../src/transport/ssh/connect.ts'
import { noDirect, startTestBroker } from '../../support/crash/test-broker.ts'
import { type Lab, type LabHost, labIsHere, password, startLab } from '../../support/lab/lab.ts'
import { netcatLine, processesWith } from '../../support/ssh/proxy.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

const env = { HOME: '/nowhere' }

const shellOf = async (through: SshTarget, line: string, prompt?: Prompt) => {
  await using transport = await connectSsh(through, { env, prompt })
  return (await run(transport, { shell: line })).stdout
}

describe.skipIf(!labIsHere)("the user's SSH configuration", () => {
  let lab: Lab
  let host: LabHost
  let target: SshTarget

  beforeAll(async () => {
    lab = await startLab({ hosts: 1, sshdOptions: { PasswordAuthentication: 'yes' } })
    host = hostOf(lab)
    target = targetOf(lab, host)
  })
  afterAll(() => lab[Symbol.asyncDispose]())

  const withAlgorithms = (algorithms: object) => ({ ...target, settings: { algorithms } })

  test('selects the login methods', async () => {
    const prompt = vi.fn<Prompt>(async () => password)
    const ana = { ...target, user: 'ana' }
    const byPassword = { ...ana, settings: { methods: ['password' as const] } }
    expect(await shellOf(byPassword, 'id -un', prompt)).toBe('ana\n')
    expect(prompt).toHaveBeenCalledTimes(1)
    const byKey = { ...ana, identityFiles: [], settings: { methods: ['publickey' as const] } }
    await expect(shellOf(byKey, 'id -un', prompt)).rejects.toMatchObject({ kind: 'credentials' })
    const wrong = vi.fn<Prompt>(async () => 'wrong')
    const once = { ...byPassword, settings: { ...byPassword.settings, passwordPrompts: 1 } }
    await expect(shellOf(once, 'id -un', wrong)).rejects.toMatchObject({ kind: 'credentials' })
    expect(wrong).toHaveBeenCalledTimes(1)
  })

  test('selects the algorithms', async () => {
    expect(
      await shellOf(
        withAlgorithms({ cipher: ['aes256-ctr'], kex: ['ecdh-sha2-nistp384'] }),
        'id -un',
      ),
    ).toBe('root\n')
    await expect(
      shellOf(withAlgorithms({ kex: ['diffie-hellman-group1-sha1'] }), ''),
    ).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('supports no algorithm that fleet accepts'),
    })
    await expect(shellOf(withAlgorithms({ cipher: ['new-cipher'] }), '')).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining('Ciphers in your SSH configuration: new-cipher'),
    })
    await expect(shellOf(withAlgorithms({ publicKey: ['ssh-rsa'] }), '')).rejects.toMatchObject({
      kind: 'credentials',
      message: expect.stringContaining('PubkeyAcceptedAlgorithms'),
    })
  })

  test('selects the source address', async () => {
    const client = 'echo "${SSH_CONNECTION%% *}"'
    const own = (await shellOf(target, client)).trim()
    const [nic] =
      Object.entries(networkInterfaces()).find(([, all]) =>
        all?.some(({ address }) => address === own),
      ) ?? []
    for (const bind of [{ address: own }, { interface: nic ?? '' }]) {
      expect(await shellOf({ ...target, settings: { bind } }, client)).toBe(`${own}\n`)
    }
    const nowhere = { ...target, settings: { bind: { interface: 'none0' } } }
    await expect(shellOf(nowhere, client)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('none0'),
    })
    await expect(shellOf({ ...target, settings: { family: 6 } }, client)).rejects.toMatchObject({
      kind: 'unreachable',
    })
  })

  test('determines how long to wait for a silent server', async () => {
    const mark = randomUUID()
    const proxyCommand = { shell: netcatLine(host, { mark }) }
    const settings = { alive: { seconds: 1, count: 2 }, connectTimeoutMs: 60_000 }
    await using transport = await connectSsh({ ...target, proxyCommand, settings }, { env })
    const [pid = 0] = await processesWith(mark)
    process.kill(pid, 'SIGSTOP')
    await expect(transport.lost).rejects.toMatchObject({
      cause: expect.objectContaining({ message: 'no data received for 2 s' }),
    })
    const hanging = {
      ...target,
      proxyCommand: { shell: 'sleep 1000' },
      settings: { connectTimeoutMs: 1000 },
    }
    await expect(connectSsh(hanging, { env })).rejects.toMatchObject({
      message: expect.stringContaining('no answer within 1 s'),
    })
  })

  test('is read when the broker connects, not for every command', async () => {
    const home = await mkdtemp(join(tmpdir(), 'fleet-home-'))
    onTestFinished(() => rm(home, { recursive: true }))
    const [log, bin] = [join(home, 'log'), join(home, 'bin')]
    await mkdir(bin)
    await mkdir(join(home, '.ssh'))
    await writeFile(
      join(bin, 'ssh'),
      `#!/bin/sh\necho called >> ${log}\nPATH=$SYSTEM exec ssh "$@"\n`,
    )
    await chmod(join(bin, 'ssh'), 0o755)
    const system = process.env['PATH'] ?? ''
    const options = { env: { HOME: home, PATH: `${bin}:${system}`, SYSTEM: system } }
    const config = (user: string) =>
      writeFile(
        join(home, '.ssh/config'),
        `Host web\n  HostName ${host.address}\n  Port 22\n  User ${user}\n  IdentityFile ${lab.identity.file}\n`,
      )
    const broker = await startTestBroker()
    onTestFinished(() => broker[Symbol.asyncDispose]())
    // Of this record, only the host key is correct.
    const record = { machine: 'h1', address: 'h1.invalid', port: 1, user: 'nobody' }
    const connect = async (stamp: string) => {
      await using transport = await broker.openClient().connect(
        {
          ...{ ...record, hostKeys: [host.hostKey], identityFiles: [] },
          alias: { destination: 'web', stamp },
        },
        options,
        noDirect,
      )
      return (await run(transport, ['id', '-un'])).stdout
    }
    const calls = async () => (await readFile(log, 'utf8')).length
    await config('ana')
    expect(await connect('1')).toBe('ana\n')
    const first = await calls()
    await config('bob')
    expect(await connect('1')).toBe('ana\n')
    expect(await calls()).toBe(first)
    expect(await connect('2')).toBe('bob\n')
    expect(await calls()).toBeGreaterThan(first)
  })
})
