import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Lab, type LabHost, startLab } from '../test/support/lab/lab.ts'
import { runProgram } from '../test/support/lab/process.ts'
import { type TestUser, makeTestUser } from '../test/support/test-user.ts'
import { delayHost } from './delay.ts'

/** Hosts, and a user whose fleet and peers are configured for these hosts. */
export interface Ground extends AsyncDisposable {
  readonly hosts: readonly LabHost[]
  /** The names of all machines in the inventory: one for each port of each host, and one for each delay. */
  readonly machines: readonly string[]
  readonly user: TestUser
  /** The user's environment, with a wrapper first on PATH that makes `ssh` use `sshConfig`. */
  readonly env: Readonly<Record<string, string>>
  /** Path of an ssh_config(5) file that defines the hosts by name. */
  readonly sshConfig: string
  /** Resources to dispose of together with the hosts. */
  readonly owned: AsyncDisposable[]
}

const key = (host: LabHost): string => host.hostKey.split(' ').slice(0, 2).join(' ')

/** Returns an inventory entry as fleet would write it. */
const entry = (name: string, address: string, hostKey: string, port = 22): string => `  ${name}:
    driver: ssh
    labels:
      role: web
    options:
      address: ${address}
      port: ${port}
      user: root
    host:
      phase: ready
      address: ${address}
      port: ${port}
      user: root
      hostKeys:
        - ${hostKey}
      os: linux
      arch: amd64
      engine: 20.10.24
      created: 2026-01-01T00:00:00.000Z
`

const named = (host: LabHost) => ({ name: host.name, address: host.address, key: key(host) })

const inventory = (entries: readonly string[]): string =>
  `version: 1\nid: 0123abcd\nmachines:\n${entries.join('\n')}`

/** Writes an inventory of `count` machines without hosts. Returns the file's path. */
export async function writeInventory({ user, hosts }: Ground, count: number): Promise<string> {
  const [host] = hosts
  const file = join(user.folder, `${count}-machines.yaml`)
  const entries = Array.from({ length: count }, (_, index) =>
    entry(`web-${index}`, `10.${index >> 8}.${index & 255}.1`, host ? key(host) : ''),
  )
  await writeFile(file, inventory(entries))
  return file
}

/** Returns the entry of a host in the SSH configuration of the peers. */
interface Known {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly key: string
}

/**
 * Returns the text of an ssh_config(5) file with three aliases for each host: NAME; NAME.fast, with the cheapest key
 * exchange instead of ssh's default, which is post-quantum and costs more; and NAME.warm, with that key exchange and a
 * shared connection that stays open.
 */
const sshConfigOf = (hosts: readonly Known[], folder: string, identity: string): string =>
  [
    ...hosts.map(({ name, address, port }) =>
      [
        `Host ${name} ${name}.fast ${name}.warm`,
        `HostName ${address}\nPort ${port}\nHostKeyAlias ${name}`,
      ].join('\n'),
    ),
    'Host *.fast *.warm\nKexAlgorithms curve25519-sha256',
    `Host *.warm\nControlMaster auto\nControlPersist 600\nControlPath ${join(tmpdir(), 'c-%n')}`,
    `Host *\nUser root\nIdentityFile ${identity}\nIdentitiesOnly yes`,
    `UserKnownHostsFile ${join(folder, 'known_hosts')}\nStrictHostKeyChecking yes\n`,
  ].join('\n')

/** Starts a container called `app` on a host. */
async function runContainer(host: LabHost): Promise<void> {
  const { code, stderr } = await host.exec('docker run -d --name app bb:1 sleep 1000000')
  if (code !== 0) throw new Error(`no container on ${host.name}: ${stderr}`)
}

/** Options for a {@link Ground}. */
interface GroundOptions {
  readonly hosts: number
  /** Whether each host has an engine with one container, `app`. */
  readonly engine: boolean
  /** The number of ports that each host's sshd listens on, each a separate machine (default: 1). */
  readonly ports?: number
  /**
   * Round-trip times in milliseconds: for each one, a machine `dMS` (such as `d50`) is created, which connects to the
   * first host with this delay.
   */
  readonly roundTrips?: readonly number[]
}

/** The SSH ports of a host: 22, then 2201, 2202 and so on. */
const portsOf = (count: number): number[] => [
  22,
  ...Array.from({ length: count - 1 }, (_, index) => 2201 + index),
]

/** Starts the hosts, and creates the user with the configurations. */
export async function prepareGround({
  hosts: hostCount,
  engine,
  ports: portCount = 1,
  roundTrips = [],
}: GroundOptions): Promise<Ground> {
  const ports = portsOf(portCount)
  const listening = { Port: ports.join('\nPort '), MaxStartups: '100' }
  const sshdOptions = portCount > 1 ? listening : {}
  const lab: Lab = await startLab({ hosts: hostCount, engine, image: engine, sshdOptions })
  const { hosts, identity } = lab
  const user = await makeTestUser({ identity: identity.file, broker: true, ownCode: true })
  const { folder, home } = user
  const [first] = hosts
  const delays = await Promise.all(
    roundTrips.map((ms) => delayHost(first?.address ?? '', ms).then((delay) => ({ ms, delay }))),
  )
  const known: Known[] = [
    ...ports.flatMap((port) =>
      hosts.map((host) => ({
        ...{ ...named(host), port },
        name: port === 22 ? host.name : `${host.name}-${port}`,
      })),
    ),
    ...delays.map(({ ms, delay }) => ({
      ...{ name: `d${ms}`, address: '127.0.0.1', port: delay.port },
      key: first === undefined ? '' : key(first),
    })),
  ]
  const machines = known.map(({ name }) => name)
  const listOf = (suffix: string): string => machines.map((name) => `${name}${suffix}\n`).join('')
  const sshConfig = join(folder, 'ssh_config')
  const programs = join(folder, 'bin')
  await mkdir(programs)
  await Promise.all([
    ...(engine ? hosts.map(runContainer) : []),
    writeFile(
      join(folder, 'machines.yaml'),
      inventory(known.map((host) => entry(host.name, host.address, host.key, host.port))),
    ),
    writeFile(join(folder, 'hosts'), listOf('')),
    writeFile(join(folder, 'hosts.fast'), listOf('.fast')),
    writeFile(join(folder, 'hosts.warm'), listOf('.warm')),
    writeFile(join(folder, 'known_hosts'), known.map((h) => `${h.name} ${h.key}\n`).join('')),
    writeFile(sshConfig, sshConfigOf(known, folder, join(home, '.ssh/id_ed25519'))),
    // ssh(1) reads its configuration from the account's home directory and ignores HOME.
    writeFile(join(programs, 'ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${sshConfig} "$@"\n`, {
      mode: 0o755,
    }),
  ])
  const env = { ...user.env, PATH: `${programs}:${user.env['PATH']}` }
  const owned: AsyncDisposable[] = []
  return {
    hosts,
    machines,
    user,
    sshConfig,
    env,
    owned,
    async [Symbol.asyncDispose]() {
      await user.fleet(['broker', 'stop'])
      for (const one of owned) await one[Symbol.asyncDispose]()
      const masters = known.map(({ name }) => `${name}.warm`)
      const leave = 'for host; do ssh -O exit "$host" 2>/dev/null; done; true'
      await runProgram(['env', `PATH=${env.PATH}`, 'sh', '-c', leave, 'sh', ...masters])
      await Promise.all(delays.map(({ delay }) => delay[Symbol.asyncDispose]()))
      await user[Symbol.asyncDispose]()
      await lab[Symbol.asyncDispose]()
    },
  }
}

/**
 * Writes an inventory with four machines that all refer to the first host: `direct`, `jumped` through a jump host,
 * `proxied` through a ProxyCommand in the user's SSH configuration, and `openssh` with OpenSSH as the client. Returns
 * the file's path.
 */
export async function writeRoutes({ user, hosts: [host] }: Ground): Promise<string> {
  if (host === undefined) throw new Error('no host')
  const file = join(user.folder, 'routes.yaml')
  const of = (name: string): string => entry(name, host.address, key(host))
  await writeFile(
    file,
    inventory([
      of('direct'),
      of('jumped').replace('    driver:', '    via: direct\n    driver:'),
      of('proxied').replace('    host:', '    host:\n      sshAlias: proxied'),
      of('openssh').replace('    driver:', '    ssh: { client: openssh }\n    driver:'),
    ]),
  )
  await writeFile(
    join(user.home, '.ssh/config'),
    `Host proxied\nHostName ${host.address}\nUser root\nProxyCommand busybox nc ${host.address} ${host.port}\n`,
  )
  const { code, stderr } = await user.fleet(['--inventory', file, 'trust', 'alias', 'proxied'])
  if (code !== 0) throw new Error(stderr)
  return file
}

/** Creates an incompressible file of the given size. Returns its path. */
export async function makeFile({ user }: Ground, megabytes: number): Promise<string> {
  const file = join(user.folder, `${megabytes}-megabytes`)
  await runProgram(['dd', 'if=/dev/urandom', `of=${file}`, 'bs=1M', `count=${megabytes}`])
  return file
}

/** Creates a directory with `count` files of 4 kB. Returns its path. */
export async function makeSmallFiles({ user }: Ground, count: number): Promise<string> {
  const folder = join(user.folder, 'small')
  await mkdir(folder)
  const content = Buffer.alloc(4_096, 'x')
  const names = Array.from({ length: count }, (_, index) => join(folder, `file-${index}`))
  await Promise.all(names.map((name) => writeFile(name, content)))
  return folder
}

/** Creates an archive of an image `big:1` with one layer of the given size, for `docker load`. Returns its path. */
export async function makeImage(ground: Ground, host: LabHost, megabytes: number): Promise<string> {
  const { folder } = ground.user
  const content = await makeFile(ground, megabytes)
  const [layer, image] = [join(folder, 'layer.tar'), join(folder, 'image.tar')]
  const docker = ['docker', '-H', `unix://${host.engineSocket}`] as const
  await runProgram(['tar', '-C', folder, '-cf', layer, content.slice(folder.length + 1)])
  await runProgram([...docker, 'import', layer, 'big:1'])
  await runProgram([...docker, 'save', '-o', image, 'big:1'])
  return image
}
