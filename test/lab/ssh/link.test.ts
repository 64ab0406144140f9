import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectOpenSsh } from '../../../src/transport/openssh/connect.ts'
import { run } from '../../../src/transport/run.ts'
import { type SshTarget, connectSsh, scanHostKey } from '../../../src/transport/ssh/connect.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

const env = { HOME: '/nowhere' }
/** Options with a long timeout: a login may take a while on a busy computer. */
const patient = { env, connectTimeoutMs: 120_000 }
const lost = { kind: 'unreachable', message: 'the connection to h1 was lost' }

const sockets = () =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length

const clients = [
  ['builtin', connectSsh],
  ['openssh', connectOpenSsh],
] as const

describe.skipIf(!labIsHere).each(clients)(
  'an SSH connection of the client %s',
  (client, connect) => {
    let lab: Lab
    let host: LabHost
    let target: SshTarget

    beforeAll(async () => {
      lab = await startLab({ hosts: 2 })
      host = hostOf(lab)
      target = targetOf(lab, host)
    })
    afterAll(() => lab[Symbol.asyncDispose]())

    test('detects that no more data arrives', async () => {
      const transport = await connect(target, patient)
      const command = await transport.exec(['sleep', '1000'])
      const socket = await transport.dial({ host: '127.0.0.1', port: 22 })
      const broken = once(socket, 'error')
      await host.drop(true)
      await expect(transport.lost).rejects.toMatchObject(lost)
      await expect(command.exit).rejects.toMatchObject(lost)
      await broken
      await expect(transport.exec(['true'])).rejects.toMatchObject(lost)
      await expect(transport.dial({ host: '127.0.0.1', port: 22 })).rejects.toMatchObject(lost)
      await host.drop(false)
      await transport[Symbol.asyncDispose]()
    })

    test('is reported as lost immediately when the host is switched off', async () => {
      await using transport = await connect(target, patient)
      const running = run(transport, ['sleep', '1000'])
      const ended = Promise.allSettled([running, transport.lost])
      await host.stop()
      const reason = expect.objectContaining(lost)
      expect(await ended).toEqual([
        { status: 'rejected', reason },
        { status: 'rejected', reason },
      ])
      await host.start()
    })

    test('works through a jump host', async () => {
      const far = hostOf(lab, 2)
      await using near = await connect(target, patient)
      const farEnd = { address: far.address, port: far.port, via: near }
      expect(await scanHostKey(farEnd, patient)).toBe(far.hostKey)
      await using transport = await connect({ ...targetOf(lab, far), via: near }, patient)
      expect((await run(transport, ['hostname'])).stdout).toBe('h2\n')
      const origin = { shell: 'echo "${SSH_CONNECTION%% *}"' }
      expect((await run(transport, origin)).stdout).toBe(`${host.address}\n`)
      const input = 'x'.repeat(3_000_000)
      expect((await run(transport, ['wc', '-c'], { input })).stdout).toBe('3000000\n')
    })

    test('reports what the jump host reports when it cannot connect', async () => {
      await using near = await connect(target, patient)
      await expect(connect({ ...target, port: 2, via: near }, patient)).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('the jump host cannot connect to the host'),
      })
    })

    test('reports a jump host that does not allow forwarding', async () => {
      const keys = `${host.home}/.ssh/authorized_keys`
      await host.exec(`cp -p ${keys} ${keys}.all; sed -i 's/^/no-port-forwarding /' ${keys}`)
      await using near = await connect(target, patient)
      await host.exec(`mv ${keys}.all ${keys}`)
      await expect(
        connect({ ...targetOf(lab, hostOf(lab, 2)), via: near }, patient),
      ).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringMatching(
          /the jump host refused to forward the connection \(.*administratively prohibited/,
        ),
        hint: expect.stringContaining('AllowTcpForwarding'),
      })
    })

    test('can be aborted while the host hangs', async () => {
      const transport = await connect(target, patient)
      const running = await transport.exec(['sleep', '1000'])
      host.pause()
      const ending = new AbortController()
      const opening = transport.exec(['true'], { signal: ending.signal })
      const queued = Array.from({ length: 8 }, () =>
        transport.exec(['true'], { signal: ending.signal }),
      )
      ending.abort(new Error('enough'))
      for (const attempt of [opening, ...queued]) await expect(attempt).rejects.toThrow('enough')
      running.kill('INT')
      await expect(running.exit).rejects.toMatchObject({
        kind: 'unreachable',
        message:
          client === 'openssh'
            ? 'the connection to h1 was lost'
            : 'h1 does not respond, and the command could not be stopped',
      })
      await transport[Symbol.asyncDispose]()
      host.resume()
    })

    test('is lost with its jump host', async () => {
      const near = await connect(target, patient)
      const far = await connect({ ...targetOf(lab, hostOf(lab, 2)), via: near }, patient)
      await near[Symbol.asyncDispose]()
      await expect(far.lost).rejects.toMatchObject({ kind: 'unreachable', machine: 'h2' })
      await far[Symbol.asyncDispose]()
    })

    test('succeeds 20 times concurrently, although sshd drops some', async () => {
      const targets = Array.from({ length: 20 }, () => target)
      const transports = await Promise.all(
        targets.map((one) => connect(one, { env, connectTimeoutMs: 120_000 })),
      )
      const answers = await Promise.all(
        transports.map((transport) => run(transport, ['echo', 'hi'])),
      )
      expect(answers.map(({ stdout }) => stdout)).toEqual(targets.map(() => 'hi\n'))
      await Promise.all(transports.map((transport) => transport[Symbol.asyncDispose]()))
    })

    test.each(['root', 'ana'])('delivers signals to a command of %s', async (user) => {
      await using transport = await connect({ ...target, user }, patient)
      const command = await transport.exec(['sh', '-c', 'echo ready; sleep 1000 & wait'])
      await once(command.stdout, 'data')
      command.stdin.end()
      command.kill('TERM')
      expect(await command.exit).toEqual({ signal: 'TERM' })
    })

    test('runs many commands if the host allows one session at a time', async () => {
      await using narrow = await startLab({ hosts: 1, sshdOptions: { MaxSessions: '1' } })
      await using transport = await connect(targetOf(narrow, hostOf(narrow)), patient)
      const numbers = Array.from({ length: 30 }, (_, index) => String(index))
      const results = await Promise.all(numbers.map((number) => run(transport, ['echo', number])))
      expect(results.map(({ stdout }) => stdout.trim())).toEqual(numbers)
    })

    test('reports that the host forbids forwarding a socket', async () => {
      await using closed = await startLab({
        hosts: 1,
        sshdOptions: { AllowStreamLocalForwarding: 'no' },
      })
      await using transport = await connect(targetOf(closed, hostOf(closed)), patient)
      await expect(transport.dial({ path: '/run/any.sock' })).rejects.toMatchObject({
        code: 'REFUSED',
      })
      expect(await run(transport, ['true'])).toMatchObject({ code: 0 })
    })

    test('leaves no socket that keeps the process alive', async () => {
      const before = sockets()
      const transport = await connect(target, patient)
      expect(sockets()).toBe(client === 'openssh' ? before : before + 1)
      await run(transport, ['true'])
      await transport[Symbol.asyncDispose]()
      expect(sockets()).toBe(before)
    })

    test('rejects running commands when it is disposed of, without an unhandled rejection', async () => {
      const transport: Transport = await connect(target, patient)
      const command = await transport.exec(['sleep', '1000'])
      await transport[Symbol.asyncDispose]()
      await expect(command.exit).rejects.toThrow('the connection to h1 is closed')
      await transport[Symbol.asyncDispose]()
    })
  },
)
