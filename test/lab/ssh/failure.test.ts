import { once } from 'node:events'
import { type AddressInfo, type Socket, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { fingerprint } from '../../../src/transport/ssh/host-keys/host-key.ts'
import { connectOpenSsh } from '../../../src/transport/openssh/connect.ts'
import { run } from '../../../src/transport/run.ts'
import {
  type SshOptions,
  type SshTarget,
  connectSsh,
  scanHostKey,
} from '../../../src/transport/ssh/connect.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

async function serve(onConnection: (socket: Socket) => void) {
  const server = createServer((socket) => onConnection(socket.on('error', () => {}))).listen(
    0,
    '127.0.0.1',
  )
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => void server.close(),
  }
}

const clients = [
  ['builtin', connectSsh],
  ['openssh', connectOpenSsh],
] as const

describe.skipIf(!labIsHere).each(clients)(
  'a failed connection of the client %s',
  (_name, connect) => {
    /** Resolves to the error of a failed connection. */
    async function failureOf(
      target: SshTarget,
      options: Partial<SshOptions> = {},
    ): Promise<UserError> {
      const connected = connect(target, { env: { HOME: '/nowhere' }, ...options })
      const failure = await connected.then(
        () => 'connected',
        (error: unknown) => error,
      )
      if (failure instanceof UserError) return failure
      throw new Error('not a UserError', { cause: failure })
    }

    let lab: Lab
    let host: LabHost
    let target: SshTarget

    beforeAll(async () => {
      lab = await startLab({ hosts: 1 })
      host = hostOf(lab)
      target = targetOf(lab, host)
    })
    afterAll(() => lab[Symbol.asyncDispose]())

    test('reports an unknown host name', async () => {
      const failure = await failureOf({ ...target, address: 'no-such-host.invalid' })
      expect(failure).toMatchObject({ kind: 'unreachable', machine: 'h1' })
      expect(failure.message).toContain('cannot resolve the host name no-such-host.invalid')
    })

    test('reports that nothing listens', async () => {
      const failure = await failureOf({ ...target, port: 2 })
      expect(failure).toMatchObject({ kind: 'unreachable' })
      expect(failure.message).toBe(`cannot reach h1 at ${host.address}:2: connection refused`)
      expect(failure.hint).toContain('fleet status h1')
    })

    test('reports that nothing answers', async () => {
      await host.drop(true)
      const failure = await failureOf(target, { connectTimeoutMs: 600 })
      await host.drop(false)
      expect(failure).toMatchObject({ kind: 'unreachable' })
      expect(failure.message).toContain('did not answer')
    })

    test('reports that there is no route', async () => {
      const failure = await failureOf({ ...target, address: '203.0.113.1' })
      expect(failure).toMatchObject({ kind: 'unreachable' })
      expect(failure.message).toContain('no route')
    })

    test('reports a host that is switched off', async () => {
      await host.stop()
      const failure = await failureOf(target, { connectTimeoutMs: 5_000 })
      await host.start()
      expect(failure).toMatchObject({ kind: 'unreachable' })
      expect(failure.message).toMatch(/no route|did not answer/)
    })

    test('reports an sshd that accepts connections but never answers', async () => {
      host.pause()
      const failure = await failureOf(target, { connectTimeoutMs: 2_000 })
      host.resume()
      expect(failure).toMatchObject({ kind: 'unreachable' })
      expect(failure.message).toContain('sends no SSH greeting')
    })

    test('reports an sshd that stops responding during the login', async () => {
      await using asking = await startLab({
        hosts: 1,
        sshdOptions: { PasswordAuthentication: 'yes', UsePAM: 'yes' },
      })
      const other = hostOf(asking)
      const login = { ...targetOf(asking, other), user: 'ana', identityFiles: [] }
      const prompt = () => {
        other.pause()
        return Promise.resolve('anything')
      }
      const failure = await failureOf(login, { connectTimeoutMs: 3_000, prompt })
      other.resume()
      expect(failure.message).toContain('stopped answering during login')
    })

    test('reports a server that is not an SSH server', async () => {
      using web = await serve((socket) =>
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(2000)),
      )
      const failure = await failureOf({ ...target, address: '127.0.0.1', port: web.port })
      expect(failure).toMatchObject({ kind: 'unreachable' })
      expect(failure.message).toContain('not an SSH server')
    })

    test('reports a server that keeps closing the connection, after several attempts', async () => {
      let calls = 0
      using busy = await serve((socket) => {
        calls += 1
        socket.destroy()
      })
      const endpoint = { ...target, address: '127.0.0.1', port: busy.port }
      const failure = await failureOf(endpoint, { connectTimeoutMs: 4_000 })
      expect(failure).toMatchObject({ kind: 'unreachable' })
      expect(failure.message).toContain('closed the connection during the handshake')
      expect(calls).toBeGreaterThan(2)
    })

    test('reports a server without a common algorithm', async () => {
      await using old = await startLab({ hosts: 1, sshdOptions: { Ciphers: 'aes128-cbc' } })
      const failure = await failureOf(targetOf(old, hostOf(old)))
      expect(failure).toMatchObject({ kind: 'unreachable' })
      expect(failure.message).toContain('supports no algorithm that fleet accepts')
    })

    test('reports that no host key is pinned', async () => {
      const failure = await failureOf({ ...target, hostKeys: [] })
      expect(failure).toMatchObject({
        kind: 'host-key',
        hint: expect.stringContaining('fleet rekey h1'),
      })
    })

    test('reports that the server accepts none of the keys', async () => {
      await using other = await startLab({ hosts: 1 })
      const stranger = { ...target, identityFiles: [other.identity.file, '/nowhere/id'] }
      const failure = await failureOf(stranger)
      expect(failure).toMatchObject({ kind: 'credentials', machine: 'h1' })
      expect(failure.message).toContain(`root@${host.address}`)
      expect(failure.message).toContain(`${other.identity.fingerprint} (${other.identity.file})`)
      expect(failure.message).toContain('/nowhere/id (no such file)')
      expect(failure.hint).toContain('authorized_keys')
    })

    test('reports that there is no key to offer', async () => {
      const failure = await failureOf(
        { ...target, identityFiles: [] },
        { env: { HOME: '/nowhere' } },
      )
      expect(failure).toMatchObject({ kind: 'credentials' })
      expect(failure.message).toContain('no key could be offered')
    })

    test('rejects with the reason of an abort', async () => {
      const controller = new AbortController()
      const connecting = connect(target, { env: {}, signal: controller.signal })
      controller.abort(new Error('Ctrl-C'))
      await expect(connecting).rejects.toThrow('Ctrl-C')
    })

    describe('after the host key changed', () => {
      let pinned: string
      let shown: string
      beforeAll(async () => {
        pinned = host.hostKey
        shown = await host.replaceHostKey()
      })

      test('reports both fingerprints', async () => {
        const failure = await failureOf({ ...target, hostKeys: [pinned] })
        expect(failure).toMatchObject({ kind: 'host-key' })
        expect(failure.message).toContain(fingerprint(pinned))
        expect(failure.message).toContain(fingerprint(shown))
        expect(failure.hint).toContain('fleet rekey h1')
      })

      test('still lets a scan find the new key', async () => {
        expect(await scanHostKey(host, { env: {} })).toBe(shown)
      })

      test('does not occur if the new key is pinned in addition', async () => {
        const hostKeys = [pinned, shown]
        await using transport = await connect({ ...target, hostKeys }, { env: {} })
        expect(await run(transport, ['true'])).toMatchObject({ code: 0 })
      })
    })

    test('is avoided by requesting a pinned key if the host has several', async () => {
      const file = '/etc/ssh/ssh_host_ecdsa_key'
      const makeKey = `ssh-keygen -q -t ecdsa -N '' -f ${file}`
      const restart = 'kill -HUP "$(cat /run/sshd.pid)"'
      await host.exec(`${makeKey}; echo HostKey ${file} >> /etc/ssh/sshd_config; ${restart}`)
      const ecdsa = (await host.exec(`cut -d' ' -f1,2 ${file}.pub`)).stdout.trim()
      await expect
        .poll(async () => (await host.exec('ssh-keyscan -t ecdsa 127.0.0.1')).stdout)
        .toContain(ecdsa)
      await using transport = await connect({ ...target, hostKeys: [ecdsa] }, { env: {} })
      expect(await run(transport, ['true'])).toMatchObject({ code: 0 })
      expect(await scanHostKey(host, { env: {} })).toBe(host.hostKey)
    })
  },
)
