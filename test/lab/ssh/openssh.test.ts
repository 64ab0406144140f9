import { randomUUID } from 'node:crypto'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { shellQuote } from '../../../src/os/shell-quote.ts'
import { shortFolderFor } from '../../../src/os/socket-folder.ts'
import { chooseClient, connectHost } from '../../../src/transport/connect.ts'
import { connectOpenSsh } from '../../../src/transport/openssh/connect.ts'
import { run } from '../../../src/transport/run.ts'
import type { Question, SshOptions, SshTarget } from '../../../src/transport/ssh/connect.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { buildSecurityKey } from '../../support/ssh/security-key.ts'
import { netcatLine, processesWith, untilGone } from '../../support/ssh/proxy.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

const execute = promisify(execFile)
const pathOf = (file: string) => new URL(`../../../${file}`, import.meta.url).pathname
const [runner, connectSource] = [
  pathOf('scripts/run-ts.mjs'),
  pathOf('src/transport/openssh/connect.ts'),
]
const module = '/usr/lib/softhsm/libsofthsm2.so'

/** Logs in. Resolves to the user name on the host. */
async function whoAmI(target: SshTarget, options: SshOptions): Promise<string> {
  await using transport = await connectHost(target, options)
  return (await run(transport, ['whoami'])).stdout.trim()
}

/** Resolves to the names of the directories of open connections. */
const openFolders = () =>
  readdir(shortFolderFor(`openssh of ${userInfo().uid}`)).catch((): string[] => [])

const sign = (authority: string, file: string, ...options: readonly string[]) =>
  execute('ssh-keygen', ['-q', '-s', authority, '-I', 'test', ...options, `${file}.pub`])

/** Resolves to the known_hosts entry that pins the certificate authority whose key is in `file`. */
async function pin(file: string): Promise<readonly string[]> {
  const [type, base64] = (await readFile(`${file}.pub`, 'utf8')).split(' ')
  return [`@cert-authority ${type} ${base64}`]
}

/** Returns a prompt that gives `answers` in order, and records the questions. */
function answering(...answers: readonly string[]) {
  const asked: Question[] = []
  const prompt = (question: Question) => {
    asked.push(question)
    const answer = answers[asked.length - 1]
    return answer === undefined ? Promise.reject(new Error('no answer')) : Promise.resolve(answer)
  }
  return { asked, prompt }
}

describe.skipIf(!labIsHere)('the openssh client', () => {
  let lab: Lab
  let host: LabHost
  let target: SshTarget
  let folder: string
  let env: { HOME: string; PATH: string | undefined }

  const makeKey = async (name: string, passphrase = '') => {
    const file = join(folder, name)
    await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', name, '-f', file])
    return file
  }
  const reload = () => host.exec('kill -HUP "$(cat /run/sshd.pid)"')
  const authorize = (line: string) =>
    host.exec(`echo '${line.trim()}' >> ${host.home}/.ssh/authorized_keys`)

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'openssh-'))
    lab = await startLab({ hosts: 1 })
    host = hostOf(lab)
    target = { ...targetOf(lab, host), client: 'openssh' }
    env = { HOME: join(folder, 'home'), PATH: process.env['PATH'] }
    await mkdir(join(env.HOME, '.ssh'), { recursive: true })
  })
  afterAll(async () => {
    await lab[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  test('logs in with a certificate signed by a certificate authority', async () => {
    const [authority, file] = [await makeKey('user-ca'), await makeKey('certified')]
    const authorityKey = await readFile(`${authority}.pub`, 'utf8')
    await authorize(`cert-authority ${authorityKey}`)
    await sign(authority, file, '-n', 'root')
    expect(await whoAmI({ ...target, identityFiles: [file] }, { env })).toBe('root')
  })

  test('accepts a host certificate only of a pinned authority', async () => {
    const [authority, other] = [await makeKey('host-ca'), await makeKey('other-ca')]
    const publicKey = await host.exec('cat /etc/ssh/ssh_host_ed25519_key.pub')
    await writeFile(join(folder, 'h1.pub'), publicKey.stdout)
    await sign(authority, join(folder, 'h1'), '-h', '-n', host.address)
    const certificate = await readFile(join(folder, 'h1-cert.pub'), 'utf8')
    await host.exec(`echo '${certificate.trim()}' > /etc/ssh/h1-cert.pub
      echo 'HostCertificate /etc/ssh/h1-cert.pub' >> /etc/ssh/sshd_config`)
    await reload()
    const { client: _client, ...automatic } = target
    const certified = { ...automatic, hostKeys: await pin(authority) }
    await expect.poll(() => whoAmI(certified, { env }).catch(String)).toBe('root')
    const refused = whoAmI({ ...automatic, hostKeys: await pin(other) }, { env })
    await expect(refused).rejects.toMatchObject({
      kind: 'host-key',
      message: expect.stringMatching(/expected a certificate signed by SHA256:/),
    })
  })

  test('prompts for the passphrase of a key, repeatedly if it is wrong, and fails without a prompt', async () => {
    const file = await makeKey('locked', 'open sesame')
    await authorize(await readFile(`${file}.pub`, 'utf8'))
    const locked = { ...target, identityFiles: [file] }
    const { prompt, asked } = answering('wrong', 'open sesame')
    expect(await whoAmI(locked, { env, prompt })).toBe('root')
    expect(asked.map(({ text, secret }) => [text, secret])).toEqual([
      [`Passphrase for ${file}:`, true],
      [`Wrong passphrase. Passphrase for ${file}:`, true],
    ])
    await expect(whoAmI(locked, { env })).rejects.toMatchObject({ kind: 'credentials' })
    await expect(whoAmI(locked, { env, prompt: answering().prompt })).rejects.toThrow('no answer')
  })

  test('logs in with a key of a PKCS#11 token selected by ssh_config, and prompts for its PIN', async () => {
    const tokens = join(folder, 'tokens')
    await mkdir(tokens)
    const settings = { ...env, SOFTHSM2_CONF: join(folder, 'softhsm2.conf') }
    await writeFile(settings.SOFTHSM2_CONF, `directories.tokendir = ${tokens}\n`)
    const hsm = (...words: readonly string[]) =>
      execute('softhsm2-util', [...words], { env: settings })
    await hsm('--init-token', '--free', '--label', 'fleet', '--so-pin', '4711', '--pin', '1234')
    const key = join(folder, 'token-key.pem')
    await execute('openssl', ['genpkey', '-algorithm', 'RSA', '-out', key])
    await hsm('--import', key, '--token', 'fleet', '--label', 'k', '--id', '01', '--pin', '1234')
    const listed = await execute('ssh-keygen', ['-D', module], { env: settings })
    await authorize(listed.stdout.split(' ').slice(0, 2).join(' '))
    const config = join(env.HOME, '.ssh', 'config')
    await writeFile(config, `Host *\n  PKCS11Provider ${module}\n`)
    const { prompt, asked } = answering('1234')
    const { client: _client, ...automatic } = target
    const alias = { destination: host.address }
    const login = { ...automatic, identityFiles: [], alias }
    expect(await whoAmI(login, { env: settings, prompt })).toBe('root')
    expect(asked.map(({ text }) => text)).toEqual([expect.stringMatching(/^Enter PIN for 'fleet'/)])
    await rm(config)
  })

  test('logs in with a security key selected by its key file', async () => {
    const [config, file] = [join(env.HOME, '.ssh', 'config'), join(folder, 'touched')]
    const provider = await buildSecurityKey(folder)
    const options = ['-q', '-t', 'ed25519-sk', '-w', provider, '-N', '', '-f', file]
    await execute('ssh-keygen', options)
    await authorize(await readFile(`${file}.pub`, 'utf8'))
    await writeFile(config, `Host *\n  SecurityKeyProvider ${provider}\n  IdentityFile ${file}\n`)
    const { client: _client, ...automatic } = target
    const alias = { destination: host.address }
    const used: string[] = []
    const onKeyLogin = (fingerprint: string) => used.push(fingerprint)
    const login = { ...automatic, identityFiles: [], alias }
    expect(await whoAmI(login, { env, onKeyLogin })).toBe('root')
    const { stdout } = await execute('ssh-keygen', ['-lf', `${file}.pub`])
    expect(used).toEqual([stdout.split(' ')[1]])
    // Without an alias, ssh reads no configuration, and searches for connected security keys.
    await copyFile(file, join(env.HOME, '.ssh/id_ed25519_sk'))
    const plain = { ...automatic, identityFiles: [] }
    expect(await chooseClient(plain, env)).toMatchObject({
      client: 'openssh',
      why: expect.stringContaining('id_ed25519_sk is stored on a security key'),
    })
    await expect(whoAmI(plain, { env })).rejects.toMatchObject({
      kind: 'credentials',
      message: expect.stringMatching(
        /id_ed25519_sk \(the server accepted this key, but the signature failed/,
      ),
      hint: expect.stringContaining('plug in the security key'),
    })
    await rm(join(env.HOME, '.ssh/id_ed25519_sk'))
    await rm(config)
  })

  test('ignores settings in ssh_config that would run or forward something', async () => {
    const config = join(env.HOME, '.ssh', 'config')
    const mark = join(folder, 'ran')
    await writeFile(
      config,
      `Host *
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  NoHostAuthenticationForLocalhost yes
  PermitLocalCommand yes
  LocalCommand touch ${mark}
  RemoteCommand touch /tmp/ran
  LocalForward 127.0.0.1:4713 127.0.0.1:22
  ForwardAgent yes
  RequestTTY force
  ControlMaster auto
  ControlPath ${join(folder, 'theirs')}
  ControlPersist yes
`,
    )
    const known = { ...target, alias: { destination: host.address } }
    expect(await whoAmI(known, { env })).toBe('root')
    await expect(readFile(mark)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(readFile(join(folder, 'theirs'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect((await host.exec('test -e /tmp/ran')).code).toBe(1)
    const [type] = host.hostKey.split(' ')
    const wrong = { ...known, hostKeys: [`${type} ${lab.identity.publicKey.split(' ')[1]}`] }
    await expect(whoAmI(wrong, { env })).rejects.toMatchObject({ kind: 'host-key' })
    await rm(config)
  })

  test('connects through the ProxyCommand of ssh_config, and quotes its error output', async () => {
    const config = join(env.HOME, '.ssh', 'config')
    await writeFile(
      config,
      `Host good
  HostName ${host.address}
  ProxyCommand ${netcatLine(host)}
Host bad
  ProxyCommand sh -c 'echo not logged in >&2; exit 3'
Host slow
  ProxyCommand sh -c 'echo open the browser >&2; sleep 600'
`,
    )
    expect(await whoAmI({ ...target, alias: { destination: 'good' } }, { env })).toBe('root')
    await expect(
      whoAmI({ ...target, alias: { destination: 'bad' } }, { env }),
    ).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('not logged in'),
    })
    await expect(
      whoAmI({ ...target, alias: { destination: 'slow' } }, { env, connectTimeoutMs: 3_000 }),
    ).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/the ProxyCommand started.* within 3 s: open the browser/),
    })
    // If this worked without an alias that the user trusts, an inventory could determine what runs on this computer.
    const named = { ...target, address: 'bad' }
    await expect(whoAmI(named, { env })).rejects.toMatchObject({
      message: expect.stringContaining('cannot resolve the host name bad'),
    })
    await rm(config)
  })

  test('runs ssh -G once for a connection to an alias', async () => {
    const config = join(env.HOME, '.ssh', 'config')
    await writeFile(config, `Host web\n  HostName ${host.address}\n  User root\n  Port 22\n`)
    const [bin, log] = [join(folder, 'bin'), join(folder, 'asked')]
    await mkdir(bin)
    const { stdout: ssh } = await execute('sh', ['-c', 'command -v ssh'])
    const script = `#!/bin/sh\ncase " $* " in *" -G "*" web "*) echo >>${log};; esac\nexec ${ssh.trim()} "$@"\n`
    await writeFile(join(bin, 'ssh'), script, { mode: 0o755 })
    const counted = { ...env, PATH: `${bin}:${env.PATH}` }
    for (const [index, client] of (['openssh', 'builtin', undefined] as const).entries()) {
      const alias = { ...target, client, alias: { destination: 'web' } }
      expect(await whoAmI(alias, { env: counted })).toBe('root')
      expect((await readFile(log, 'utf8')).length).toBe(index + 1)
    }
    await rm(config)
  })

  test('refuses a key that the known_hosts file of an alias revokes', async () => {
    const [config, revoked] = [join(env.HOME, '.ssh', 'config'), join(folder, 'revoked')]
    await writeFile(revoked, `@revoked * ${target.hostKeys[0]}\n`)
    await writeFile(
      config,
      `Host web\n  HostName ${host.address}\n  UserKnownHostsFile ${revoked}\n`,
    )
    for (const client of ['openssh', 'builtin'] as const) {
      const alias = { ...target, client, alias: { destination: 'web' } }
      await expect(whoAmI(alias, { env })).rejects.toMatchObject({
        kind: 'host-key',
      })
    }
    await rm(config)
  })

  test('exits although a background process of the ProxyCommand keeps its output open', async () => {
    const config = join(env.HOME, '.ssh', 'config')
    const mark = randomUUID()
    const background = [process.execPath, '-e', 'setInterval(() => {}, 1000)', mark]
    const left = background.map(shellQuote).join(' ')
    await writeFile(config, `Host *\n  ProxyCommand setsid ${left} & ${netcatLine(host)}\n`)
    const script = join(folder, 'once.ts')
    const known = { ...target, alias: { destination: 'web' } }
    await writeFile(
      script,
      `import { connectOpenSsh } from ${JSON.stringify(connectSource)}
const transport = await connectOpenSsh(${JSON.stringify(known)}, { env: ${JSON.stringify(env)} })
await transport[Symbol.asyncDispose]()
console.log('closed')
`,
    )
    const { stdout } = await execute(process.execPath, [runner, script])
    expect(stdout).toBe('closed\n')
    for (const pid of await processesWith(mark)) process.kill(pid, 'SIGKILL')
    await rm(config)
  })

  test('uses the timeouts of ssh_config, also for a silent host', async () => {
    const config = join(env.HOME, '.ssh', 'config')
    const mark = randomUUID()
    await writeFile(
      config,
      `Host hanging
  ProxyCommand sleep 1000
  ConnectTimeout 1
Host silent
  ProxyCommand ${netcatLine(host, { mark })}
  ServerAliveInterval 1
  ServerAliveCountMax 2
`,
    )
    const hanging = { ...target, alias: { destination: 'hanging' } }
    await expect(whoAmI(hanging, { env })).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/1 s/),
    })
    const silent = { ...target, alias: { destination: 'silent' } }
    await using transport = await connectHost(silent, { env })
    for (const pid of await processesWith(mark)) process.kill(pid, 'SIGSTOP')
    await expect(transport.lost).rejects.toMatchObject({ kind: 'unreachable' })
    await rm(config)
  })

  test('connects to a link-local address with a zone', async () => {
    const { stdout } = await host.exec('ip -6 -o addr show dev eth0 scope link')
    const [, found = ''] = /inet6 (fe80:[^/]+)/.exec(stdout) ?? []
    const address = `${found}%${lab.network.bridge}`
    const zoned = () => whoAmI({ ...target, address }, { env }).catch(String)
    // An address is usable once duplicate address detection (RFC 4862, section 5.4) has finished.
    await expect.poll(zoned, { timeout: 60_000 }).toBe('root')
  })

  test('quotes only part of a very long banner, and escapes control characters', async () => {
    await host.exec(
      `{ printf 'begin \\033[31mred\\033[0m '; head -c 200000 /dev/zero | tr '\\0' x; echo; echo 'last words'; } > /etc/ssh/banner
      echo 'Banner /etc/ssh/banner' >> /etc/ssh/sshd_config`,
    )
    await reload()
    const stranger = { ...target, user: 'ana', identityFiles: [await makeKey('stranger')] }
    const failure = () => whoAmI(stranger, { env }).catch(String)
    await expect.poll(failure, { timeout: 60_000 }).toMatch(/the server reported: begin .*xxx…/)
    expect((await failure()).length).toBeLessThan(2000)
    expect(await failure()).not.toContain('\u001B')
  })

  test('reports a missing ssh program', async () => {
    await expect(whoAmI(target, { env: { HOME: env.HOME, PATH: folder } })).rejects.toMatchObject({
      kind: 'unsupported',
      message: 'the ssh program is not installed',
      hint: expect.stringContaining('openssh-client'),
    })
  })

  test('leaves no process and no file when it is closed', async () => {
    const before = await openFolders()
    const transport = await connectOpenSsh(target, { env })
    const own = (await openFolders()).find((name) => !before.includes(name)) ?? '?'
    expect(await processesWith(own)).not.toEqual([])
    await transport[Symbol.asyncDispose]()
    expect(await openFolders()).not.toContain(own)
    await untilGone(own)
  })

  test('leaves no process and no file when fleet is killed', async () => {
    const before = await openFolders()
    const script = join(folder, 'hold.ts')
    await writeFile(
      script,
      `import { connectOpenSsh } from ${JSON.stringify(connectSource)}
await connectOpenSsh(${JSON.stringify(target)}, { env: ${JSON.stringify(env)} })
console.log('connected')
setInterval(() => {}, 1000)
`,
    )
    const fleet = spawn(process.execPath, [runner, script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(fleet.stdout, 'data')
    const own = (await openFolders()).find((name) => !before.includes(name)) ?? '?'
    expect(await processesWith(own)).not.toEqual([])
    fleet.kill('SIGKILL')
    await untilGone(own)
    await expect.poll(openFolders, { timeout: 120_000 }).not.toContain(own)
  })
})
