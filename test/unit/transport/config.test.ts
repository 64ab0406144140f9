import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDestination } from '../../../src/transport/ssh/destination.ts'
import { examineSshConfig, resolveSshConfig } from '../../../src/transport/ssh/config/ssh-config.ts'

const keywords = (lines: string): string[] =>
  lines.split('\n').map((line) => line.replace(/ .*/, ''))

describe('a destination', () => {
  test.each([
    ['host', { host: 'host' }],
    ['ana@host', { user: 'ana', host: 'host' }],
    ['ana@host:2222', { user: 'ana', host: 'host', port: 2222 }],
    ['10.0.0.1:22', { host: '10.0.0.1', port: 22 }],
    ['::1', { host: '::1' }],
    ['[::1]', { host: '::1' }],
    ['[::1]:2222', { host: '::1', port: 2222 }],
    ['ana@[2001:db8::1]', { user: 'ana', host: '2001:db8::1' }],
    ['ana@2001:db8::1', { user: 'ana', host: '2001:db8::1' }],
    ['ana@realm@host', { user: 'ana@realm', host: 'host' }],
    ['ssh://ana@host:2222/', { user: 'ana', host: 'host', port: 2222 }],
  ])('is parsed from %s', (text, expected) => {
    expect(parseDestination(text)).toEqual(expected)
  })

  test.each([
    '',
    '@host',
    'ana@',
    '-oProxyCommand=x',
    'ana@-x',
    '-l@host',
    'host:',
    'host:0',
    'host:65536',
    'host:ssh',
    '[::1',
    '[::1]:',
    '[]',
    'a b',
    'a:b:c',
    'host\nhost',
    'ana@host/path',
    '[host',
    'a@b]:22',
  ])('is refused if it is %j', (text) => {
    expect(() => parseDestination(text)).toThrow(expect.objectContaining({ kind: 'usage' }))
  })
})

describe('resolving a host with ssh_config', () => {
  let home: string
  let env: Record<string, string | undefined>

  const inSsh = (name: string) => join(home, '.ssh', name)

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'ssh-config-'))
    env = { HOME: home, PATH: process.env['PATH'], ZONE: 'eu' }
    await mkdir(join(home, '.ssh/keys'), { recursive: true })
    for (const key of [
      'id_ecdsa',
      'own',
      'own-cert.pub',
      'agent.sock',
      'my hosts',
      'the-alias',
      'keys/ana@web.example',
      'keys/tokens-eu-alias-%-2200',
    ])
      await writeFile(join(home, '.ssh', key), '')
    await writeFile(
      join(home, '.ssh/config'),
      `
      Host web
        HostName %h.example
        User ana
        Port 2200
        IdentityFile ~/.ssh/own
        IdentityFile ~/.ssh/absent
        IdentityFile %d/.ssh/keys/%r@%h
      Host tokens
        Port 2200
        HostKeyAlias alias
        IdentityFile ~/.ssh/keys/%n-\${ZONE}-%k-%%-%p
        IdentityFile ~/.ssh/\${UNSET}own
      Host far
        ProxyJump me@jump:2022,[::1]:23
      Host none
        ProxyJump none
        ProxyCommand none
      Host odd
        HostName %h.example
        ProxyCommand tunnel --to %h:%p -n %n -k %k -r %r -u %u -i %i -d %d %% "$ZONE" \${ZONE} ~
      Host unknown-token
        ProxyCommand nc %z
      Host jump-first
        ProxyJump bastion
        ProxyCommand nc a 1
      Host command-first
        ProxyCommand nc a 1
        ProxyJump bastion
      Host token
        PKCS11Provider /usr/lib/token.so
        Compression yes
        LocalForward 1 localhost:1
      Host passes
        ProxyCommand nc -F %h %p
        ProxyUseFdpass yes
      Host strict
        IdentitiesOnly yes
        AddressFamily inet6
        BindAddress ::1
        ConnectTimeout 7
        ServerAliveInterval 15
        ServerAliveCountMax 4
        Ciphers aes256-ctr
        PreferredAuthentications password,publickey
        NumberOfPasswordPrompts 1
      Host nameless
        User dan
      Host same-as-default
        User ${userInfo().username}
        Port 22
      Host busy
        RemoteCommand tmux
        LocalForward 8080 localhost:80
        LogLevel ERROR
      Host known
        HostKeyAlias the-alias
        UserKnownHostsFile ~/.ssh/known_hosts "~/.ssh/my hosts" %d/.ssh/%k
        CertificateFile ~/.ssh/own-cert.pub
        IdentityAgent ~/.ssh/agent.sock
      Host variable
        IdentityAgent $MY_AGENT
      Host no-agent
        IdentityAgent none
      Host usual-agent
        IdentityAgent SSH_AUTH_SOCK
      `,
    )
  })
  afterAll(() => rm(home, { recursive: true }))

  test('expands tokens and variables in the paths of key files', async () => {
    const { identityFiles } = await resolveSshConfig('tokens', env)
    expect(identityFiles).toEqual([join(home, '.ssh/keys/tokens-eu-alias-%-2200')])
  })

  test('returns the address, the user, the port and the existing key files', async () => {
    expect(await resolveSshConfig('web', env)).toMatchObject({
      address: 'web.example',
      user: 'ana',
      port: 2200,
      identityFiles: [join(home, '.ssh/own'), join(home, '.ssh/keys/ana@web.example')],
    })
  })

  test('returns known_hosts files, the agent and certificate files', async () => {
    const { settings, ...known } = await resolveSshConfig('known', env)
    const knownHosts = settings?.knownHosts
    expect(known).toMatchObject({
      certificateFiles: [inSsh('own-cert.pub')],
      agent: inSsh('agent.sock'),
    })
    expect(knownHosts?.alias).toBe('the-alias')
    expect(knownHosts?.files).toEqual([
      ...['known_hosts', 'my hosts', 'the-alias'].map(inSsh),
      ...['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
    ])
    expect(await resolveSshConfig('variable', env)).toMatchObject({ agent: '$MY_AGENT' })
    expect(await resolveSshConfig('no-agent', env)).toMatchObject({ agent: 'none' })
    for (const name of ['usual-agent', 'web'])
      expect(await resolveSshConfig(name, env)).not.toHaveProperty('agent')
  })

  test('gives precedence to the user and the port of the destination', async () => {
    expect(await resolveSshConfig('bob@web:23', env)).toMatchObject({
      address: 'web.example',
      user: 'bob',
      port: 23,
    })
  })

  test('resolves hosts that the configuration does not name', async () => {
    expect(await resolveSshConfig('10.0.0.1', env)).toMatchObject({
      address: '10.0.0.1',
      user: userInfo().username,
      port: 22,
      identityFiles: [join(home, '.ssh/id_ecdsa')],
    })
  })

  test.each(['::1', '[::1]', 'ana@[::1]:22'])('accepts the IPv6 address %s', async (text) => {
    expect(await resolveSshConfig(text, env)).toMatchObject({ address: '::1', port: 22 })
  })

  test('returns jump hosts', async () => {
    expect(await resolveSshConfig('far', env)).toMatchObject({
      proxyJump: ['me@jump:2022', '[::1]:23'],
    })
    expect(await resolveSshConfig('none', env)).not.toHaveProperty('proxyJump')
  })

  test('expands the tokens of a ProxyCommand, and leaves variables to the shell', async () => {
    const { username, uid } = userInfo()
    expect(await resolveSshConfig('ana@odd:2200', env)).toMatchObject({
      address: 'odd.example',
      proxyCommand: {
        shell: `tunnel --to odd.example:2200 -n odd -k odd -r ana -u ${username} -i ${uid} -d ${home} % "$ZONE" \${ZONE} ~`,
      },
    })
    expect(await resolveSshConfig('none', env)).not.toHaveProperty('proxyCommand')
    await expect(resolveSshConfig('unknown-token', env)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('%z'),
    })
  })

  test('uses ProxyJump or ProxyCommand, depending on which is set first', async () => {
    const jump = await resolveSshConfig('jump-first', env)
    expect(jump).toMatchObject({ proxyJump: ['bastion'] })
    expect(jump).not.toHaveProperty('proxyCommand')
    const command = await resolveSshConfig('command-first', env)
    expect(command).toMatchObject({ proxyCommand: { shell: 'nc a 1' } })
    expect(command).not.toHaveProperty('proxyJump')
  })

  test('refuses a ProxyCommand that passes a file descriptor', async () => {
    await expect(resolveSshConfig('passes', env)).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining('ProxyUseFdpass'),
    })
  })

  test('returns settings of the connection and the login', async () => {
    const { settings } = await resolveSshConfig('strict', env)
    expect(settings).toMatchObject({
      identitiesOnly: true,
      family: 6,
      bind: { address: '::1' },
      connectTimeoutMs: 7000,
      alive: { seconds: 15, count: 4 },
      algorithms: { cipher: ['aes256-ctr'] },
      methods: ['password', 'publickey'],
      passwordPrompts: 1,
    })
    const plain = await resolveSshConfig('10.0.0.1', env)
    expect(Object.keys(plain.settings ?? {})).toEqual(['knownHosts'])
  })

  test('uses values of the host record that the configuration does not set', async () => {
    const { username } = userInfo()
    const fallback = { address: '192.0.2.7', user: 'admin', port: 2222 }
    const cases = [
      ['nameless', { address: '192.0.2.7', user: 'dan', port: 2222 }],
      ['same-as-default', { address: '192.0.2.7', user: username, port: 22 }],
      ['web', { address: 'web.example', user: 'ana', port: 2200 }],
      ['unheard-of', fallback],
      ['bob@unheard-of:23', { address: '192.0.2.7', user: 'bob', port: 23 }],
      // A ProxyCommand gets the name that ssh would pass, and not the address in machines.yaml.
      ['command-first', { address: 'command-first', user: 'admin', port: 2222 }],
    ] as const
    for (const [destination, expected] of cases)
      expect(await resolveSshConfig(destination, env, { fallback })).toMatchObject(expected)
  })

  test('reports whether a host is configured, and which settings have no effect', async () => {
    expect(await examineSshConfig('web', env)).toMatchObject({ isConfigured: true })
    expect(await examineSshConfig('ana@unheard-of:2222', env)).toMatchObject({
      isConfigured: false,
    })
    const busy = await examineSshConfig('busy', env)
    expect(busy).toMatchObject({ isConfigured: false })
    expect(busy.ignoredBy('builtin')).toEqual(
      expect.arrayContaining(['LocalForward', 'RemoteCommand']),
    )
    // The token makes fleet use the OpenSSH client, which supports these settings.
    const token = await examineSshConfig('token', env)
    expect(token).toMatchObject({ isConfigured: true })
    expect(token.ignoredBy('openssh')).toEqual(['LocalForward'])
    expect(token.ignoredBy('builtin').toSorted()).toEqual([
      ...['Compression', 'LocalForward', 'PKCS11Provider'],
    ])
  })

  const named = {
    always: `BatchMode yes
ForwardAgent yes
ForwardX11 yes
GSSAPIDelegateCredentials yes
GatewayPorts yes
LocalForward 127.0.0.1:4711 127.0.0.1:22
NoHostAuthenticationForLocalhost yes
RemoteCommand true
RequestTTY force
SendEnv LC_FLEET
SetEnv FLEET=1
StreamLocalBindMask 0077
StreamLocalBindUnlink yes
StrictHostKeyChecking no
TCPKeepAlive no
Tunnel yes
VerifyHostKeyDNS yes`,
    unlessOpenSsh: `AddKeysToAgent yes
CASignatureAlgorithms ssh-ed25519
Compression yes
ConnectionAttempts 3
EnableSSHKeysign yes
GSSAPIKeyExchange yes
GSSAPIRenewalForcesRekey yes
GSSAPITrustDns yes
HostbasedAcceptedAlgorithms ssh-ed25519
HostbasedAuthentication yes
IPQoS cs1
RekeyLimit 1G
RequiredRSASize 2048`,
    never: `CanonicalDomains example.com
CanonicalizeHostname no
CheckHostIP yes
ControlMaster auto
ControlPersist yes
EscapeChar none
ExitOnForwardFailure yes
FingerprintHash md5
ForwardX11Trusted no
GSSAPIAuthentication yes
HashKnownHosts yes
LogLevel QUIET
PermitLocalCommand yes
UpdateHostKeys no
VisualHostKey yes`,
  }
  test('reports all settings that have no effect with a client', async () => {
    const file = join(home, 'full')
    await writeFile(file, `Host full\n${Object.values(named).join('\n')}\n`)
    const { ignoredBy } = await examineSshConfig('full', env, file)
    expect(ignoredBy('openssh').toSorted()).toEqual(keywords(named.always))
    expect(ignoredBy('builtin').toSorted()).toEqual(
      keywords(`${named.always}\n${named.unlessOpenSsh}`).toSorted(),
    )
  })

  test('finds every ssh setting in docs/ssh.md', async () => {
    const docs = await readFile(join(import.meta.dirname, '../../../docs/ssh.md'), 'utf8')
    const { answer = [] } = await examineSshConfig('full', env, join(home, 'full'))
    const missing = answer
      .map((line) => line.split(' ')[0] ?? '')
      .filter((keyword) => !new RegExp(`\\b${keyword}\\b`, 'i').test(docs))
    expect(new Set(missing)).toEqual(new Set())
  })

  test('reports an error in the file with the message of ssh', async () => {
    const other = await mkdtemp(join(tmpdir(), 'ssh-config-'))
    await mkdir(join(other, '.ssh'))
    await writeFile(join(other, '.ssh/config'), 'Nonsense yes\n')
    await expect(resolveSshConfig('web', { ...env, HOME: other })).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('nonsense'),
    })
    await rm(other, { recursive: true })
  })

  test('works without ssh', async () => {
    const bare = { HOME: home, PATH: join(home, 'empty'), USER: 'eve' }
    expect(await resolveSshConfig('web', bare)).toEqual({
      address: 'web',
      user: 'eve',
      port: 22,
      identityFiles: [],
    })
    expect(await resolveSshConfig('bob@[::1]:23', bare)).toMatchObject({
      address: '::1',
      port: 23,
      user: 'bob',
    })
  })
})
