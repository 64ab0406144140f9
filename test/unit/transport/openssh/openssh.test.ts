import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { describe, expect, test } from 'vitest'
import { chooseClient } from '../../../../src/transport/connect.ts'
import { failureOf, readLogin } from '../../../../src/transport/openssh/login-log.ts'
import { called, protocolOf, replaced } from '../../../../src/transport/ssh/ssh2-internals.ts'
import { formatPinnedKeys, masterArguments } from '../../../../src/transport/openssh/options.ts'
import { questionOf } from '../../../../src/transport/openssh/questions.ts'
import { ClosedEarly } from '../../../../src/transport/ssh/connection-errors.ts'
import type { SshTarget } from '../../../../src/transport/ssh/connect.ts'

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB'

const target: SshTarget = {
  ...{ machine: 'web-1', address: '203.0.113.7', port: 22, user: 'ana' },
  ...{ hostKeys: [key], identityFiles: [] },
}

const commandLine = (changes: Partial<SshTarget>, proxyCommand?: string) =>
  masterArguments(
    { ...target, ...changes },
    { socket: '/run/f/ctl', knownHosts: '/run/f/known hosts', proxyCommand },
    {
      program: { major: 9, minor: 2 },
      canAsk: false,
      connectTimeoutMs: 10_000,
      configFile: [],
    },
  )

describe('the command line for ssh', () => {
  test('pins the host key, with options that take precedence over ssh_config', () => {
    const words = commandLine({ identityFiles: ['/home/ana/my key'] })
    for (const option of [
      'StrictHostKeyChecking=yes',
      'UserKnownHostsFile="/run/f/known hosts"',
      'GlobalKnownHostsFile=/dev/null',
      'NoHostAuthenticationForLocalhost=no',
      'KnownHostsCommand=none',
      'ClearAllForwardings=yes',
      'PermitLocalCommand=no',
      'RemoteCommand=none',
      'ForwardAgent=no',
      'BatchMode=yes',
      'HostName=203.0.113.7',
      'IdentityFile="/home/ana/my key"',
    ])
      expect(words[words.indexOf(option) - 1]).toBe('-o')
    expect(words.slice(-2)).toEqual(['--', '203.0.113.7'])
  })

  test('ends with the alias, which selects the settings of ssh_config', () => {
    const words = commandLine({ alias: { destination: 'prod-web' } })
    expect(words.slice(-2)).toEqual(['--', 'prod-web'])
    expect(words).toContain('HostName=203.0.113.7')
  })

  test('omits options that an old release of ssh does not support', () => {
    const words = masterArguments(
      target,
      { socket: '/s', knownHosts: '/k' },
      { program: { major: 8, minor: 0 }, canAsk: true, connectTimeoutMs: 1, configFile: [] },
    )
    expect(words.join(' ')).not.toMatch(/KnownHostsCommand|SessionType/)
    expect(words).toContain('BatchMode=no')
  })

  test.each([
    { address: '-oProxyCommand=touch /tmp/x' },
    { address: 'a b' },
    { address: '$(id)' },
    { alias: { destination: 'x;id' } },
    { user: '-oProxyCommand=x' },
    { user: 'a;b' },
    { identityFiles: ['/a"\nProxyCommand x'] },
    { identityFiles: ['/a${HOME}'] },
  ])('refuses %j, which could be an option or a command', (changes) => {
    expect(() => commandLine(changes)).toThrow(expect.objectContaining({ kind: 'inventory' }))
  })

  test('pins keys, certificate authorities and revoked keys for any host name', () => {
    const revoked = [{ key, file: 'f', line: 1 }]
    const hostKeys = [key, `@cert-authority ${key}`]
    expect(formatPinnedKeys({ machine: 'x', hostKeys }, revoked)).toBe(
      `* ${key}\n@cert-authority * ${key}\n@revoked * ${key}\n`,
    )
    expect(() => formatPinnedKeys({ machine: 'x', hostKeys: [`${key}\n* x`] }, [])).toThrow(
      /not a public key/,
    )
  })
})

const read = (...lines: readonly string[]) => {
  const log = readLogin(() => {})
  for (const line of lines) log.add(line)
  return log
}

describe('the debug output of ssh', () => {
  test('shows the stage that the login reached, and the offered keys', () => {
    const log = read(
      'debug1: Connection established.',
      'debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1',
      'debug1: Server host key: ssh-ed25519 SHA256:abc',
      'debug1: SSH2_MSG_SERVICE_ACCEPT received',
      'debug1: Authentications that can continue: publickey,password',
      'debug1: Offering public key: /home/ana/.ssh/id ED25519 SHA256:def explicit',
      'Load key "/home/ana/.ssh/other": bad permissions',
      'ana@203.0.113.7: Permission denied (publickey,password).',
    )
    expect([log.stage(), log.isLoggedIn()]).toEqual(['login', false])
    expect(log.hostKey()).toEqual({ type: 'ssh-ed25519', fingerprint: 'SHA256:abc' })
    expect(log.report.offered).toEqual(['SHA256:def (/home/ana/.ssh/id)'])
    expect(log.report.left).toEqual(['publickey', 'password'])
    expect(log.report.remedies).toEqual(['chmod 600 /home/ana/.ssh/other'])
  })

  test.each([
    ['ssh: Could not resolve hostname x: Name or service not known', { code: 'ENOTFOUND' }],
    ['ssh: connect to host 10.0.0.1 port 22: Connection refused', { code: 'ECONNREFUSED' }],
    ['ssh: connect to host 10.0.0.1 port 22: No route to host', { code: 'EHOSTUNREACH' }],
    ['ssh: connect to host 10.0.0.1 port 22: Connection timed out', { code: 'ETIMEDOUT' }],
    ['something new', { message: 'something new' }],
  ])('is mapped to an error: %s', (line, error) => {
    expect(failureOf(read(line), 10).error).toMatchObject(error)
  })

  test('yields the message of the ProxyCommand if ssh only reports a closed connection', () => {
    for (const line of [
      'kex_exchange_identification: Connection closed by remote host',
      'kex_exchange_identification: read: Connection reset by peer',
    ]) {
      const log = read('not logged in', line, 'Connection closed by UNKNOWN port 65535')
      expect(failureOf(log, 10).error).toMatchObject({ message: 'not logged in' })
      expect(failureOf(read(line), 10).error).toBeInstanceOf(ClosedEarly)
    }
  })

  test('shows that the server was reached, even through a ProxyCommand', () => {
    for (const line of [
      'kex_exchange_identification: Connection closed by remote host',
      'kex_exchange_identification: banner line contains invalid characters',
    ]) {
      expect(failureOf(read(line), 10).stage).toBe('greeting')
    }
    expect(failureOf(read('Bad owner or permissions on /x'), 10).stage).toBe('connecting')
  })
})

describe('a prompt from ssh', () => {
  test('about a key is shared by all connections of a command, separately for each attempt', () => {
    const text = "Enter PIN for 'token':"
    expect(questionOf(text, 0)).toEqual({ text, secret: true, sharedAs: `${text} 0` })
    expect(questionOf(text, 1)).toMatchObject({ text: `Wrong. ${text}`, sharedAs: `${text} 1` })
  })

  test('for a passphrase has the same text as with the builtin client', () => {
    const text = "Enter passphrase for key '/home/ana/.ssh/id':"
    expect(questionOf(text, 0)).toEqual({
      ...{ text: 'Passphrase for /home/ana/.ssh/id:', secret: true },
      sharedAs: '/home/ana/.ssh/id 0',
    })
    expect(questionOf(text, 1)).toMatchObject({
      text: 'Wrong passphrase. Passphrase for /home/ana/.ssh/id:',
    })
  })

  test('from the host names the host, and is never shared', () => {
    expect(questionOf('(ana@web) Verification code:', 0)).toEqual({
      ...{ text: 'Verification code:', from: 'ana@web', secret: true },
    })
    expect(questionOf("ana@web's password:", 0)).toEqual({
      ...{ text: 'Password:', from: 'ana@web', secret: true },
    })
  })
})

test('ssh2 has the methods that a connection without a handshake replaces', async () => {
  const server = createServer((socket) => socket.on('error', () => {}))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { port: number }
  const client = new ssh2.Client()
  client.on('error', () => {}).connect({ host: '127.0.0.1', port, username: 'x' })
  const protocol = protocolOf(client) as unknown as Record<string, unknown>
  for (const name of called) expect(protocol[name]).toBeTypeOf('function')
  for (const name of replaced) expect(name in protocol).toBe(true)
  client.destroy()
  server.close()
})

describe('choosing the SSH client', () => {
  test('returns builtin by default, and openssh for a host certificate', async () => {
    const certified = { ...target, hostKeys: [`@cert-authority ${key}`] }
    expect(await chooseClient(target, { HOME: '/nowhere' })).toEqual({ client: 'builtin' })
    expect(await chooseClient(certified, { HOME: '/nowhere' })).toMatchObject({
      client: 'openssh',
      why: expect.stringMatching(/authority/),
    })
  })

  test('returns the requested client', async () => {
    const asked = { ...target, client: 'builtin', hostKeys: [`@cert-authority ${key}`] } as const
    expect(await chooseClient(asked, {})).toEqual({ client: 'builtin' })
  })

  test('returns openssh for a FIDO security key', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keys-'))
    const file = join(folder, 'id_sk')
    const magic = 'openssh-key-v1\0....none....none........sk-ssh-ed25519@openssh.com'
    const body = Buffer.from(magic).toString('base64')
    const [begin, end] = ['BEGIN', 'END'].map((word) => `-----${word} OPENSSH PRIVATE KEY-----`)
    await writeFile(file, `${begin}\n${body}\n${end}\n`)
    const choice = await chooseClient({ ...target, identityFiles: [file] }, { HOME: '/nowhere' })
    expect(choice).toMatchObject({ client: 'openssh', why: expect.stringContaining(file) })
    await rm(folder, { recursive: true })
  })
})
