import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { run } from '../../../src/transport/run.ts'
import { type SshTarget, connectSsh, scanHostKey } from '../../../src/transport/ssh/connect.ts'
import { noDirect, startTestBroker } from '../../support/crash/test-broker.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { netcat, netcatLine, processesWith, untilGone } from '../../support/ssh/proxy.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

const env = { HOME: '/nowhere' }
/** Options with a long timeout: a login may take a while on a busy computer. */
const patient = { env, connectTimeoutMs: 120_000 }

describe.skipIf(!labIsHere)('a ProxyCommand', () => {
  let lab: Lab
  let host: LabHost
  let target: SshTarget

  beforeAll(async () => {
    lab = await startLab({ hosts: 1 })
    host = hostOf(lab)
    // Only the program knows where the host is.
    target = { ...targetOf(lab, host), address: 'web-1.invalid' }
  })
  afterAll(() => lab[Symbol.asyncDispose]())

  const shell = (line: string): SshTarget => ({ ...target, proxyCommand: { shell: line } })

  test('is a shell command or arguments, and exits with the connection', async () => {
    const mark = randomUUID()
    const line = `${netcatLine(host, { mark })} 2>&1`
    for (const proxyCommand of [{ shell: line }, { argv: netcat(host, { mark }) }]) {
      const through = { ...target, proxyCommand }
      expect(await scanHostKey(through, patient)).toBe(host.hostKey)
      const transport = await connectSsh(through, patient)
      const input = 'x'.repeat(3_000_000)
      expect((await run(transport, ['wc', '-c'], { input })).stdout).toBe('3000000\n')
      expect(await processesWith(mark)).toHaveLength(1)
      await transport[Symbol.asyncDispose]()
      expect(await processesWith(mark)).toEqual([])
    }
  })

  test('gets the environment of the command that connects', async () => {
    const line = `sh -c 'test "$TUNNEL" = yes || exit 9; ${netcatLine(host).replaceAll("'", `'"'"'`)}'`
    await using transport = await connectSsh(shell(line), { env: { ...env, TUNNEL: 'yes' } })
    expect((await run(transport, ['hostname'])).stdout).toBe('h1\n')
    await expect(connectSsh(shell(line), patient)).rejects.toMatchObject({
      message: expect.stringContaining('the ProxyCommand exited with code 9'),
    })
  })

  test('does not bypass the pinned host key', async () => {
    const mark = randomUUID()
    const pinned = { ...shell(netcatLine(host, { mark })), hostKeys: [lab.identity.publicKey] }
    await expect(connectSsh(pinned, patient)).rejects.toMatchObject({ kind: 'host-key' })
    await untilGone(mark)
  })

  test('that fails is quoted, without control characters', async () => {
    const line = String.raw`printf 'one\n\033[31mtunnel is closed\033[0m\a\n' >&2; exit 3`
    await expect(connectSsh(shell(`sh -c ${JSON.stringify(line)}`), patient)).rejects.toMatchObject(
      {
        kind: 'unreachable',
        message:
          'cannot reach h1 at web-1.invalid:22: the ProxyCommand exited with code 3: one; tunnel is closed',
      },
    )
  })

  test('that is missing is named, with a hint how to install it', async () => {
    const proxyCommand = { argv: ['fleet-no-such-program'], install: 'apt install it' }
    await expect(connectSsh({ ...target, proxyCommand }, patient)).rejects.toMatchObject({
      kind: 'unreachable',
      message:
        'cannot reach h1 at web-1.invalid:22: fleet-no-such-program is not installed on this computer',
      hint: 'apt install it',
    })
    await expect(connectSsh(shell('fleet-no-such-program'), patient)).rejects.toMatchObject({
      message: expect.stringMatching(/the ProxyCommand exited with code 127: .*not found/),
    })
  })

  test('that transfers nothing is killed at the timeout, with its child processes', async () => {
    const mark = `1${Date.now()}`
    const line = `sh -c 'echo open this page >&2; trap "" TERM; sleep ${mark} & wait; sleep ${mark}'`
    await expect(connectSsh(shell(line), { env, connectTimeoutMs: 3000 })).rejects.toMatchObject({
      kind: 'unreachable',
      message:
        'cannot reach h1 at web-1.invalid:22: the ProxyCommand started, but the SSH server gave no answer within 3 s: open this page',
    })
    await untilGone(mark)
  })

  test('that should report a port but does not is killed at the timeout', async () => {
    const mark = `3${Date.now()}`
    const argv = ['sh', '-c', `echo starting >&2; sleep ${mark} & wait`]
    const listens = { portAfter: 'ready on port ', messages: ['starting'] }
    const silent = { ...shell(''), proxyCommand: { argv, listens } }
    await expect(connectSsh(silent, { env, connectTimeoutMs: 1000 })).rejects.toMatchObject({
      kind: 'unreachable',
      message:
        'cannot reach h1 at web-1.invalid:22: sh started, but the SSH server gave no answer within 1 s',
    })
    await untilGone(mark)
  })

  test('is killed when the command is cancelled', async () => {
    const mark = `2${Date.now()}`
    const cancel = new AbortController()
    const connecting = connectSsh(shell(`sleep ${mark}`), { ...patient, signal: cancel.signal })
    while ((await processesWith(mark)).length === 0);
    cancel.abort(new Error('cancelled'))
    await expect(connecting).rejects.toThrow('cancelled')
    await untilGone(mark)
  })

  test('that exits during the session closes the connection, with the reason', async () => {
    const more = `s.once('data', () => process.on('SIGUSR2', () => { console.error('token expired'); process.exitCode = 4; process.exit() }))`
    const mark = randomUUID()
    const transport = await connectSsh(shell(netcatLine(host, { mark, more })), patient)
    const running = run(transport, ['sleep', '1000'])
    const ended = Promise.allSettled([running, transport.lost])
    const [pid = 0] = await processesWith(mark)
    process.kill(pid, 'SIGUSR2')
    const reason = expect.objectContaining({
      kind: 'unreachable',
      message: 'the connection to h1 was lost: the ProxyCommand exited with code 4: token expired',
    })
    expect(await ended).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ])
  })

  test('is kept running by the broker, with the environment of the client, and exits with it', async () => {
    const broker = await startTestBroker()
    let isOver = false
    const end = async () => {
      if (!isOver) await broker[Symbol.asyncDispose]()
      isOver = true
    }
    onTestFinished(end)
    const mark = randomUUID()
    const through = {
      ...shell(`sh -c 'test "$TUNNEL" = yes && exec "$@"' sh ${netcatLine(host, { mark })}`),
      via: undefined,
    }
    const options = { env: { ...env, TUNNEL: 'yes' } }
    for (const client of [broker.client, broker.openClient()]) {
      await using transport = await client.connect(through, options, noDirect)
      expect((await run(transport, ['hostname'])).stdout).toBe('h1\n')
    }
    expect(await broker.client.status()).toMatchObject({ hosts: [{ state: 'connected' }] })
    expect(await processesWith(mark)).toHaveLength(1)
    const other = { ...through, proxyCommand: { shell: 'echo no way >&2; exit 1' } }
    await expect(broker.client.connect(other, options, noDirect)).rejects.toMatchObject({
      kind: 'unreachable',
    })
    await end()
    expect(await processesWith(mark)).toEqual([])
  })
})
