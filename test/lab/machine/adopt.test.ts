import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { access, appendFile, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest'
import {
  type AdoptCalls,
  type AdoptRequest,
  adoptMachine,
} from '../../../src/operations/adopt/adopt-machine.ts'
import { trustAliases } from '../../../src/operations/connect/ssh-alias.ts'
import { createMachine } from '../../../src/operations/create/create-machine.ts'
import type { UnknownHostKey } from '../../../src/operations/trust/trust-host-key.ts'
import { type MachineName, parseMachineName } from '../../../src/machine/name.ts'
import { fingerprint } from '../../../src/transport/ssh/host-keys/host-key.ts'
import { shellQuote } from '../../../src/os/shell-quote.ts'
import { run } from '../../../src/transport/run.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { makeKey } from '../../support/lab/ssh-key.ts'
import { netcatLine, untilGone } from '../../support/ssh/proxy.ts'
import { startAgent } from '../../support/ssh/ssh-agent.ts'
import { type Operator, makeOperator } from '../../support/operator.ts'

const acceptNew = { trust: { acceptNew: true } } as const
const calls = {
  progress: () => {},
  confirmJump: async () => true,
  approve: async () => {
    throw new Error('nothing was to change')
  },
}

let lab: Lab
let host: LabHost
let other: LabHost
let operator: Operator

const adopt = async (
  request: AdoptRequest,
  confirmJump: AdoptCalls['confirmJump'] = calls.confirmJump,
) => {
  await using fleet = operator.open()
  return await adoptMachine(fleet, request, { ...calls, confirmJump })
}

const name = (text: string): MachineName => parseMachineName(text)

const config = (text: string) => writeFile(join(operator.home, '.ssh/config'), text)

const plain = () => ({ destination: `root@${host.address}`, name: name('m') })

const trustKnown = (key: string) =>
  appendFile(join(operator.home, '.ssh/known_hosts'), `${host.address} ${key}\n`)

/** Resolves to the error with which adopting a host fails, and checks that the inventory is unchanged. */
async function refused(request: AdoptRequest): Promise<unknown> {
  const before = await operator.inventory()
  const failure = await adopt(request).then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(await operator.inventory()).toBe(before)
  return failure
}

/** Returns the ~/.ssh/config entry of a host in a private network. */
const privateHost = (alias: string, to: LabHost): string =>
  `Host ${alias}\n  HostName 10.99.0.5\n  User root\n  ProxyCommand ${netcatLine(to).replaceAll('%', '%%')}\n`

/** Lists the files, containers and processes of a host that must not change, except for sshd's login records. */
async function snapshot(host: LabHost): Promise<string> {
  const { stdout } = await host.exec(`
    find /etc /srv /usr/local /var/lib/docker/containers -xdev -type f -printf '%p %s %T@ %m %u %g\\n' | sort
    find /etc /srv -xdev -type f -exec sha256sum {} + | sort
    docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'; docker images -q --no-trunc
    docker network ls -q; docker volume ls -q; pgrep -a 'dockerd|containerd'`)
  expect(stdout).toContain('/etc/ssh/sshd_config')
  expect(stdout).toContain('precious created')
  return stdout
}

describe.skipIf(!labIsHere)('adopting a host', () => {
  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true, image: true })
    ;[host, other] = lab.hosts as [LabHost, LabHost]
    await host.exec('docker create --name precious bb:1')
  })
  afterAll(() => lab[Symbol.asyncDispose]())
  beforeEach(async () => {
    operator = await makeOperator({ identity: lab.identity.file })
  })
  afterEach(() => operator[Symbol.asyncDispose]())

  test('inspects the host, records what it found, and changes nothing on it', async () => {
    const before = await snapshot(host)
    const { machine, hint } = await adopt({
      destination: `root@${host.address}`,
      name: name('web-1'),
      labels: { role: 'web' },
      ...acceptNew,
    })
    expect(await snapshot(host)).toBe(before)
    expect(hint).toBeUndefined()
    expect(await operator.machine('web-1')).toEqual(machine)
    expect(machine).toMatchObject({
      driver: 'ssh',
      labels: { role: 'web' },
      options: { address: host.address, user: 'root' },
      host: {
        phase: 'ready',
        address: host.address,
        user: 'root',
        hostKeys: [host.hostKey],
        os: expect.stringContaining('Debian'),
        arch: expect.stringMatching(/^(amd64|arm64)$/),
        engine: expect.stringMatching(/^\d+\.\d+/),
        created: expect.stringMatching(/^\d{4}-.*Z$/),
      },
    })
    expect(machine.host).not.toHaveProperty('port')
    expect(machine.host).not.toHaveProperty('socket')
    expect(await operator.inventory()).not.toContain('PRIVATE KEY')
  })

  test('names the machine after the host by default', async () => {
    const { machine } = await adopt({ destination: `root@${host.address}`, ...acceptNew })
    expect(machine.name).toBe(host.address)
  })

  test('finds the engine for a user with sudo, and for a member of its group', async () => {
    const member = await adopt({
      destination: `ana@${host.address}`,
      name: name('a'),
      ...acceptNew,
    })
    expect(member.probe).toMatchObject({ dockerGroup: true, sudo: false, engine: { direct: true } })
    const sudoer = await adopt({
      destination: `bob@${host.address}`,
      name: name('b'),
      ...acceptNew,
    })
    expect(sudoer.probe).toMatchObject({
      dockerGroup: false,
      sudo: true,
      engine: { direct: false },
    })
    expect(sudoer.machine.host.engine).toBe(member.machine.host.engine)
  })

  describe('verifies the host key', () => {
    test('and accepts one with the expected fingerprint', async () => {
      const { machine } = await adopt({
        ...plain(),
        trust: { expected: fingerprint(host.hostKey) },
      })
      expect(machine.host.hostKeys).toEqual([host.hostKey])
    })

    test('and refuses one with another fingerprint, showing both', async () => {
      const expected = fingerprint(other.hostKey)
      const failure = await refused({ ...plain(), trust: { expected, acceptNew: true } })
      expect(failure).toMatchObject({ kind: 'host-key' })
      expect(String(failure)).toContain(expected)
      expect(String(failure)).toContain(fingerprint(host.hostKey))
    })

    test('and accepts one in known_hosts without a prompt', async () => {
      await trustKnown(host.hostKey)
      const { machine } = await adopt({ ...plain(), trust: {} })
      expect(machine.host.hostKeys).toEqual([host.hostKey])
    })

    test('and refuses one that known_hosts revokes, even if it is the expected one', async () => {
      await appendFile(
        join(operator.home, '.ssh/known_hosts'),
        `${host.address} ${host.hostKey}\n@revoked * ${host.hostKey}\n`,
      )
      const expected = fingerprint(host.hostKey)
      for (const trust of [{ acceptNew: true }, { expected }, { confirm: async () => true }]) {
        expect(await refused({ ...plain(), trust })).toMatchObject({
          kind: 'host-key',
          message: expect.stringMatching(/is marked @revoked in .*known_hosts, line 2$/),
        })
      }
    })

    test('and refuses a pinned one that was revoked later', async () => {
      const { machine } = await adopt({ ...plain(), ...acceptNew })
      await appendFile(join(operator.home, '.ssh/known_hosts'), `@revoked * ${host.hostKey}\n`)
      await using fleet = operator.open()
      await expect(fleet.connect(machine)).rejects.toMatchObject({
        kind: 'host-key',
        message: expect.stringContaining('@revoked'),
      })
    })

    test('and accepts one signed by a certificate authority in known_hosts, only for its principal', async () => {
      const [authority, key] = [join(operator.home, 'ca'), join(operator.home, 'host.pub')]
      await makeKey(authority, 'ca')
      await writeFile(key, `${other.hostKey}\n`)
      const certify = async (principal: string) => {
        const words = ['-q', '-s', authority, '-I', 'test', '-h', '-n', principal, key]
        await promisify(execFile)('ssh-keygen', words)
        const certificate = await readFile(join(operator.home, 'host-cert.pub'), 'utf8')
        await other.exec(`echo '${certificate.trim()}' > /etc/ssh/host-cert.pub
          grep -q HostCertificate /etc/ssh/sshd_config || echo 'HostCertificate /etc/ssh/host-cert.pub' >> /etc/ssh/sshd_config
          kill -HUP "$(cat /run/sshd.pid)"`)
      }
      await appendFile(
        join(operator.home, '.ssh/known_hosts'),
        `@cert-authority 10.77.* ${await readFile(`${authority}.pub`, 'utf8')}`,
      )
      const request = { destination: `root@${other.address}`, name: name('m'), trust: {} }
      await certify('another.example')
      // While sshd reloads its configuration, it accepts no connections.
      await expect.poll(() => refused(request)).toMatchObject({ kind: 'host-key' })
      await certify(other.address)
      await expect
        .poll(() => adopt(request).then(({ machine }) => machine.host.hostKeys, String))
        .toEqual([other.hostKey])
    })

    test('and accepts one in the known_hosts file of ~/.ssh/config, under an alias', async () => {
      const file = join(operator.home, 'hosts')
      await writeFile(file, `the-alias ${host.hostKey}\n`)
      await config(
        `Host aka\n  HostName ${host.address}\n  User root\n  HostKeyAlias the-alias\n  UserKnownHostsFile ${file}\n`,
      )
      const { machine } = await adopt({ destination: 'aka', trust: {} })
      expect(machine.host.hostKeys).toEqual([host.hostKey])
    })

    test('and refuses one that contradicts known_hosts, even with acceptNew', async () => {
      await trustKnown(other.hostKey)
      const failure = await refused({ ...plain(), trust: { acceptNew: true } })
      expect(failure).toMatchObject({
        message: expect.stringMatching(/in .*known_hosts, line 1$/),
        hint: expect.stringContaining(`-R ${host.address}`),
      })
      expect(failure).toMatchObject({ kind: 'host-key' })
      expect(String(failure)).toContain(fingerprint(other.hostKey))
      expect(String(failure)).toContain(fingerprint(host.hostKey))
    })

    test('and accepts one that the user confirms after seeing its fingerprint', async () => {
      const shown: UnknownHostKey[] = []
      const confirm = async (key: UnknownHostKey) => shown.push(key) > 0
      await adopt({ ...plain(), trust: { confirm } })
      expect(shown).toEqual([
        {
          ...{ machine: 'm', address: host.address, type: 'ssh-ed25519' },
          fingerprint: fingerprint(host.hostKey),
        },
      ])
    })

    test('and refuses one that the user does not confirm', async () => {
      expect(await refused({ ...plain(), trust: { confirm: async () => false } })).toMatchObject({
        kind: 'cancelled',
      })
    })

    test('and refuses an unknown one without a prompt, with a hint of the option to use', async () => {
      expect(await refused({ ...plain(), trust: {} })).toMatchObject({
        kind: 'host-key',
        hint: expect.stringContaining(`--host-key ${fingerprint(host.hostKey)}`),
      })
    })
  })

  describe('refuses', () => {
    beforeEach(() => adopt({ ...plain(), ...acceptNew }))
    test('a name that is taken', async () => {
      const destination = `root@${other.address}`
      expect(await refused({ destination, name: name('m'), ...acceptNew })).toMatchObject({
        kind: 'usage',
        machine: 'm',
        message: expect.stringContaining('nothing was changed'),
      })
    })

    test('a host that is already a machine, and names that machine', async () => {
      const destination = `root@${host.address}`
      expect(await refused({ destination, name: name('n'), ...acceptNew })).toMatchObject({
        kind: 'usage',
        message: expect.stringContaining('already in the inventory as machine m'),
      })
    })

    test('a host that rejects the login', async () => {
      const destination = `nobody-here@${other.address}`
      expect(await refused({ destination, name: name('n'), ...acceptNew })).toMatchObject({
        kind: 'credentials',
      })
    })

    test('a host that does not answer', async () => {
      const destination = `root@${other.address}:1`
      expect(await refused({ destination, name: name('n'), ...acceptNew })).toMatchObject({
        kind: 'unreachable',
      })
    })
  })

  test('accepts a host without an engine, with a hint to install one', async () => {
    await using bare = await startLab({ hosts: 1 })
    const destination = `root@${bare.hosts[0]?.address}`
    await copyFile(bare.identity.file, join(operator.home, '.ssh/id_ed25519'))
    const { machine, hint } = await adopt({ destination, name: name('bare'), ...acceptNew })
    expect(machine.host).not.toHaveProperty('engine')
    expect(hint).toContain('fleet provision bare')
  })

  test('accepts a host whose engine the user may not use, with a hint of the reason', async () => {
    await other.exec('mv /etc/sudoers.d/bob /root-of-bob')
    const request = { destination: `bob@${other.address}`, name: name('locked'), ...acceptNew }
    const { hint } = await adopt(request)
    await other.exec('mv /root-of-bob /etc/sudoers.d/bob')
    expect(hint).toContain('bob does not have permission to use Docker on the host')
  })

  test('writes engine: none for a host without an engine on request, without a hint', async () => {
    const request = { destination: `root@${host.address}`, name: name('jump'), ...acceptNew }
    expect(await adopt({ ...request, engine: 'none' })).not.toHaveProperty('hint')
    expect(await operator.machine('jump')).toMatchObject({ engine: 'none' })
  })

  describe('uses ~/.ssh/config', () => {
    test('for the address, the user and the key, also for later logins', async () => {
      await operator[Symbol.asyncDispose]()
      operator = await makeOperator() // no key in the default location
      const file = join(operator.home, 'keys/deploy')
      await mkdir(join(operator.home, 'keys'))
      await makeKey(join(operator.home, 'keys/wrong'), 'wrong')
      await copyFile(lab.identity.file, file)
      await config(`Host shop
  HostName ${host.address}
  User ana
  IdentityFile ~/keys/wrong
  IdentityFile ~/keys/deploy
`)
      const { machine } = await adopt({ destination: 'shop', ...acceptNew })
      expect(machine).toMatchObject({
        name: 'shop',
        options: { address: host.address, user: 'ana' },
        host: { address: host.address, user: 'ana', key: lab.identity.fingerprint },
      })
      await using fleet = operator.open()
      const { stdout } = await run(await fleet.connect(machine), ['id', '-un'])
      expect(stdout).toBe('ana\n')
      expect(await operator.inventory()).not.toContain(operator.home)
    })

    test('for the agent, also for later logins', async () => {
      await operator[Symbol.asyncDispose]()
      operator = await makeOperator() // no key in the default location
      using agent = await startAgent(operator.home)
      await agent.add(lab.identity.file)
      await config(
        `Host vault\n  HostName ${host.address}\n  User bob\n  IdentityAgent ${agent.socket}\n`,
      )
      const { machine } = await adopt({ destination: 'vault', ...acceptNew })
      await using fleet = operator.open()
      expect((await run(await fleet.connect(machine), ['id', '-un'])).stdout).toBe('bob\n')
      await config(`Host vault\n  HostName ${host.address}\n  User ana\n  IdentityAgent none\n`)
      operator.env['SSH_AUTH_SOCK'] = agent.socket
      expect(await refused({ destination: 'vault', name: name('v'), ...acceptNew })).toMatchObject({
        kind: 'credentials',
        message: expect.stringContaining('no key could be offered'),
      })
    })

    test('for its ProxyCommand, which is never written to the inventory', async () => {
      const mark = randomUUID()
      const ran = join(operator.home, 'ran')
      const command = `echo %n >> ${ran}; ${netcatLine(host, { mark }).replaceAll('%', '%%')}`
      await config(`Host tunnel\n  User ana\n  ProxyCommand sh -c ${shellQuote(command)}\n`)
      const { machine, warnings } = await adopt({ destination: 'tunnel', ...acceptNew })
      expect(warnings).toEqual([])
      expect(machine.host).toMatchObject({ sshAlias: 'tunnel', address: 'tunnel', user: 'ana' })
      const text = await operator.inventory()
      for (const word of [mark, 'ProxyCommand', process.execPath]) expect(text).not.toContain(word)
      const connectAgain = async () => {
        await using fleet = operator.open()
        return (await run(await fleet.connect(machine), ['id', '-un'])).stdout
      }
      expect(await connectAgain()).toBe('ana\n')
      await untilGone(mark)

      // The configuration at the time of the connection is used.
      await config(`Host tunnel\n  User bob\n  ProxyCommand sh -c ${shellQuote(command)}\n`)
      expect(await connectAgain()).toBe('bob\n')
      await config(`Host tunnel\n  ProxyCommand sh -c 'echo no way out >&2; exit 5'\n`)
      await expect(connectAgain()).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('the ProxyCommand exited with code 5: no way out'),
      })

      await config(`Host closed\n  HostName 192.0.2.9\n  ProxyCommand sh -c 'exit 5'\n`)
      await expect(adopt({ destination: 'closed', ...acceptNew })).rejects.toMatchObject({
        hint: expect.stringMatching(/ssh -v closed$/),
      })
      // With a known host key, the first connection is the login.
      await writeFile(join(operator.home, '.ssh/known_hosts'), `192.0.2.9 ${host.hostKey}\n`)
      await expect(adopt({ destination: 'closed', ...acceptNew })).rejects.toMatchObject({
        hint: expect.stringMatching(/ssh -v closed$/),
      })

      // The same inventory runs nothing for a user who has not trusted the alias.
      await config(`Host tunnel\n  User bob\n  ProxyCommand sh -c ${shellQuote(command)}\n`)
      await using fleet = operator.open()
      await (await fleet.trust()).update((before) => ({ ...before, aliases: [] }))
      await rm(ran)
      await expect(fleet.connect(machine)).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('cannot resolve the host name tunnel'),
        hint: expect.stringContaining('fleet trust alias tunnel'),
      })
      await expect(access(ran)).rejects.toMatchObject({ code: 'ENOENT' })
      await trustAliases(fleet, ['tunnel'])
      expect(await connectAgain()).toBe('bob\n')
      expect(await readFile(ran, 'utf8')).toBe('tunnel\n')
    })

    test('for ProxyCommands to hosts with the same address in two networks', async () => {
      await config(privateHost('east', host) + privateHost('west', other))
      await adopt({ destination: 'east', ...acceptNew })
      const { machine } = await adopt({ destination: 'west', ...acceptNew })
      expect(machine.host).toMatchObject({ address: '10.99.0.5', hostKeys: [other.hostKey] })
      expect(await refused({ destination: 'west', name: name('w'), ...acceptNew })).toMatchObject({
        message: expect.stringContaining('is already in the inventory as machine west'),
      })
    })

    test('for a jump host that the user has not adopted', async () => {
      const { machine } = await adopt({
        destination: `ana@${host.address}`,
        name: name('web'),
        ...acceptNew,
      })
      const known = join(operator.home, 'jump_hosts')
      await writeFile(known, `${other.address} ${other.hostKey}\n`)
      await config(`Host web
  HostName ${host.address}
  ProxyJump root@${other.address}
Host ${other.address}
  UserKnownHostsFile ${known}
  IdentityFile ${lab.identity.file}
`)
      await using fleet = operator.open()
      await trustAliases(fleet, ['web'])
      const aliased = { ...machine, host: { ...machine.host, sshAlias: 'web' } }
      const client = { shell: 'id -un; echo "${SSH_CONNECTION%% *}"' }
      const { stdout } = await run(await fleet.connect(aliased), client)
      expect(stdout).toBe(`ana\n${other.address}\n`)
    })

    test('and offers only the keys that it names, with IdentitiesOnly', async () => {
      await operator[Symbol.asyncDispose]()
      operator = await makeOperator() // no key in the default location
      using agent = await startAgent(operator.home)
      operator.env['SSH_AUTH_SOCK'] = agent.socket
      await agent.add(lab.identity.file)
      await makeKey(join(operator.home, 'other'), 'other')
      const only = `Host vault\n  HostName ${host.address}\n  User ana\n  IdentitiesOnly yes\n`
      await config(`${only}  IdentityFile ~/other\n`)
      expect(await refused({ destination: 'vault', ...acceptNew })).toMatchObject({
        kind: 'credentials',
        message: expect.not.stringContaining(lab.identity.fingerprint),
      })
      await copyFile(`${lab.identity.file}.pub`, join(operator.home, 'named.pub'))
      await config(`${only}  IdentityFile ~/named\n`)
      const { machine } = await adopt({ destination: 'vault', ...acceptNew })
      await using fleet = operator.open()
      expect((await run(await fleet.connect(machine), ['id', '-un'])).stdout).toBe('ana\n')
    })

    test('and reports the settings that have no effect', async () => {
      await config(`Host shop\n  HostName ${host.address}\n  User root\n  RemoteCommand tmux\n`)
      const { warnings } = await adopt({ destination: 'shop', ...acceptNew })
      expect(warnings).toEqual([
        expect.stringMatching(/ignores these SSH settings .*: RemoteCommand;/),
      ])
    })

    test('for a jump host, which becomes a machine without an engine', async () => {
      const only = `iptables -w -A INPUT -p tcp --dport 22 ! -s ${other.address} -j REJECT`
      await host.exec(only)
      await config(`Host bastion
  HostName ${other.address}
  User root
Host inner
  HostName ${host.address}
  User root
  ProxyJump bastion
`)
      const asked: unknown[] = []
      await adopt({ destination: 'inner', ...acceptNew }, async (jump) => asked.push(jump) > 0)
      expect(asked).toEqual([{ name: 'bastion', leadsTo: 'inner' }])
      expect(await operator.machine('bastion')).toMatchObject({ engine: 'none' })
      expect(await operator.machine('inner')).toMatchObject({
        via: 'bastion',
        host: { hostKeys: [host.hostKey], engine: expect.stringMatching(/^\d/) },
      })
      await config(`Host deeper
  HostName ${host.address}
  User ana
  ProxyJump root@${other.address}
`)
      await adopt({ destination: 'deeper', ...acceptNew }, async () => {
        throw new Error('the jump host is a machine already')
      })
      expect(await operator.machine('deeper')).toMatchObject({ via: 'bastion' })
      await host.exec(only.replace('-A', '-D'))
    })

    test('and changes nothing if the user does not confirm the jump host', async () => {
      await config(`Host inner\n  HostName ${host.address}\n  ProxyJump root@${other.address}\n`)
      const before = await operator.inventory()
      await expect(
        adopt({ destination: 'inner', ...acceptNew }, async () => false),
      ).rejects.toMatchObject({ kind: 'cancelled' })
      expect(await operator.inventory()).toBe(before)
    })

    test('and refuses jump hosts in a circle', async () => {
      await config(`Host a
  HostName ${host.address}
  ProxyJump b
Host b
  HostName ${other.address}
  ProxyJump a
`)
      expect(await refused({ destination: 'a', ...acceptNew })).toMatchObject({
        kind: 'usage',
        message: expect.stringContaining('is its own jump host'),
      })
    })
  })

  test('names a missing key file at later logins', async () => {
    await operator[Symbol.asyncDispose]()
    operator = await makeOperator() // no key in the default location
    const file = join(operator.home, 'deploy')
    await copyFile(lab.identity.file, file)
    const { machine } = await adopt({ ...plain(), identityFiles: [file], ...acceptNew })
    await rm(file)
    await using fleet = operator.open()
    await expect(fleet.connect(machine)).rejects.toMatchObject({
      kind: 'credentials',
      message: expect.stringContaining(`${file} (no such file)`),
    })
  })

  test('refuses to install an engine if the machine must have none', async () => {
    await using fleet = operator.open()
    const request = { name: name('x'), driver: 'ssh', options: { address: host.address } }
    await expect(
      createMachine(
        fleet,
        { ...request, engine: 'none', installEngine: true, ...acceptNew },
        calls,
      ),
    ).rejects.toMatchObject({ kind: 'usage', hint: expect.stringContaining('--install-engine') })
  })

  test.each([
    ['through a machine that does not exist', 'gone', 'unknown-machine'],
    ['through the machine itself', 'x', 'inventory'],
    ['through a circle of jump hosts', 'y', 'inventory'],
  ])('refuses to connect %s', async (_, via, kind) => {
    await operator[Symbol.asyncDispose]()
    const entry = `driver: ssh, options: { address: ${host.address} }, host: { phase: ready, address: ${host.address}, user: root }`
    operator = await makeOperator({
      identity: lab.identity.file,
      inventory: `version: 1
id: 0123abcd
machines:
  x: { via: ${via}, ${entry} }
  y: { via: x, ${entry} }
`,
    })
    await using fleet = operator.open()
    const machine = await operator.machine('x')
    if (machine === undefined) throw new Error('no machine x')
    await expect(fleet.connect(machine)).rejects.toMatchObject({ kind })
  })

  test('completes an entry written by hand, and keeps its comments', async () => {
    await operator[Symbol.asyncDispose]()
    operator = await makeOperator({
      identity: lab.identity.file,
      inventory: `version: 1
id: 0123abcd
defaults:
  ssh: { user: ana }
machines:
  # the one in the cellar
  cellar:
    driver: ssh
    labels: { room: cellar } # damp
    options: { address: ${host.address} }
`,
    })
    await using fleet = operator.open()
    await createMachine(fleet, { name: name('cellar'), ...acceptNew }, calls)
    expect(await operator.machine('cellar')).toMatchObject({
      labels: { room: 'cellar' },
      options: { address: host.address },
      host: { phase: 'ready', user: 'ana', hostKeys: [host.hostKey] },
    })
    const text = await operator.inventory()
    for (const kept of ['# the one in the cellar', '# damp']) expect(text).toContain(kept)
    await expect(
      createMachine(fleet, { name: name('cellar'), ...acceptNew }, calls),
    ).rejects.toMatchObject({ kind: 'usage', machine: 'cellar' })
  })

  test('names the flag of a missing driver option', async () => {
    await using fleet = operator.open()
    await expect(
      createMachine(fleet, { name: name('x'), driver: 'ssh', ...acceptNew }, calls),
    ).rejects.toMatchObject({ kind: 'usage', message: expect.stringContaining('--address') })
  })
})
