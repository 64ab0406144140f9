import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { codeOf } from '../../../src/errors.ts'
import { removeControlGroups } from '../lab/control-groups.ts'
import { type Switch, addSwitch, removeSwitch } from '../lab/network.ts'
import {
  type Finished,
  childrenOf,
  ended,
  finish,
  runProgram,
  spawnTied,
  until,
} from '../lab/process.ts'
import { type Identity, makeKey } from '../lab/ssh-key.ts'
import { findRootFolder } from './root-folder.ts'
import { type HostNetwork, makeNetwork } from './host-network.ts'
import { findTools } from './tools.ts'

/** A Debian host without Docker, like one that a provider hands over: it boots, and can reach its packages. */
export interface BootedHost extends AsyncDisposable {
  readonly address: string
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string
  /** The login key of root and of debian, who may use sudo. */
  readonly identity: Identity
  /** Its root folder, as this process sees it. */
  readonly root: string
  /** The folder with what differs from the root folder of all booted hosts. */
  readonly disk: string
  /** Runs a shell command on the host, as root, not through SSH. */
  exec(command: string): Promise<Finished>
  /** Shuts it down in good order, or pulls the plug. Its disk stays. */
  stop(force: boolean): Promise<void>
  /** Starts it again after `stop`, and waits until SSH answers. */
  start(): Promise<void>
}

/** What is different about a host. */
export interface BootOptions {
  /** `none`: only sshd runs, as in a container. */
  readonly init?: 'systemd' | 'none'
  /** Commands that cloud-init runs last, while it counts as running. */
  readonly runcmd?: readonly string[]
  /** User-data in place of the host's own, which makes the user debian and the host key, and runs `runcmd`. */
  readonly userData?: string | Uint8Array
  /** Files to put on its disk, by path; those in a folder `bin` are programs. */
  readonly files?: Readonly<Record<string, string>>
  /** Makes it an image of a provider, where root lets nobody in. */
  readonly provider?: Provider
  /** The place on a switch that there is already; by default the host has a switch of its own. */
  readonly place?: { readonly network: Switch; readonly address: string }
  /** A running host whose disk is copied, without the data of its engine: its packages are installed, and its login keys work. */
  readonly like?: Pick<BootedHost, 'disk'>
}

/** What cloud-init is told beside user-data. All of its usual modules run then, the slow ones too. */
interface Provider {
  /** The name of the image's own account. */
  readonly user: string
  /** Login keys of that account. */
  readonly publicKeys: readonly string[]
}

const bootScript = fileURLToPath(new URL('boot.sh', import.meta.url))
const indent = (text: string) => text.trim().replaceAll(/^/gm, '    ')

/** The seed of cloud-init's NoCloud datasource. */
const userData = (
  key: string,
  publicKey: string,
  login: string,
  runcmd: readonly string[],
) => `#cloud-config
ssh_deletekeys: true
ssh_keys:
  ed25519_private: |
${indent(key)}
  ed25519_public: ${publicKey}
users:
  - name: debian
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: [${JSON.stringify(login)}]
runcmd: ${JSON.stringify(runcmd)}
`

const seedFolder = 'var/lib/cloud/seed/nocloud'

/** What cloud-init is and does on an image of a provider. */
const providerConfig = (user: string) => `#cloud-config
system_info:
  default_user: { name: ${user}, groups: [adm, sudo], sudo: ["ALL=(ALL) NOPASSWD:ALL"], shell: /bin/bash, lock_passwd: true }
users: [default]
preserve_hostname: false
cloud_init_modules: [bootcmd, write-files, set_hostname, update_hostname, update_etc_hosts, ca-certs, users-groups, ssh]
cloud_config_modules: [ssh-import-id, set-passwords, apt-configure, timezone, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-per-boot, scripts-per-instance, scripts-user, ssh-authkey-fingerprints, final-message, power-state-change]
`

/** What a provider's image has beside user-data. */
const providerFiles = ({ publicKeys, user }: Provider, folder: string): Record<string, string> => ({
  [`${seedFolder}/meta-data`]: JSON.stringify({
    'instance-id': basename(folder),
    'local-hostname': basename(folder).toLowerCase(),
    'public-keys': publicKeys,
  }),
  'etc/cloud/cloud.cfg.d/95_provider.cfg': providerConfig(user),
})

/** What a host of nobody's has. */
const ownFiles = (folder: string, { publicKey }: Identity): Record<string, string> => ({
  [`${seedFolder}/meta-data`]: `instance-id: ${basename(folder)}\nlocal-hostname: booted\n`,
  'root/.ssh/authorized_keys': `${publicKey}\n`,
})

/** Makes what the host's disk has over the root folder. Gives its keys. */
async function makeDisk(folder: string, options: BootOptions) {
  for (const part of ['work', 'root', 'docker']) await mkdir(join(folder, part))
  const disk = join(folder, 'disk')
  await (options.like ? runProgram(['cp', '-a', options.like.disk, disk]) : mkdir(disk))
  const identity = await makeKey(join(folder, 'id'), 'booted')
  const host = await makeKey(join(folder, 'host-key'), 'booted')
  const key = readFileSync(host.file, 'utf8')
  const own = userData(key, host.publicKey, identity.publicKey, options.runcmd ?? [])
  const files = {
    [`${seedFolder}/user-data`]: options.userData ?? own,
    ...(options.provider ? providerFiles(options.provider, folder) : ownFiles(folder, identity)),
    ...(options.init === 'none' && { 'etc/ssh/ssh_host_ed25519_key': key }),
    ...options.files,
  }
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder, 'disk', path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text, { mode: path.includes('bin/') ? 0o755 : 0o600 })
  }
  return { identity, hostKey: host.publicKey }
}

const showsBanner = (host: string) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port: 22 })
    socket.setTimeout(2000, () => socket.destroy())
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1').startsWith('SSH-'))
      socket.destroy()
    })
    socket.on('error', () => {})
    socket.once('close', () => resolve(false))
  })

const command = (init: BootOptions['init']) =>
  init === 'none'
    ? ['sh', '-c', 'lab-cgroup; mkdir -p /run/sshd; exec /usr/sbin/sshd -D']
    : ['--boot']

const groupOf = (folder: string) => `${basename(tmpdir())}/${basename(folder)}`

/** Starts nspawn; gives its process. */
async function start(
  folder: string,
  { namespace }: HostNetwork,
  { init }: BootOptions,
): Promise<ChildProcess> {
  const { nspawn } = await findTools()
  const places = [nspawn, await findRootFolder(), folder, groupOf(folder), namespace, 'booted']
  const log = openSync(join(folder, 'console.log'), 'a')
  const shell = ['unshare', '--mount', '--propagation', 'private', 'sh', bootScript]
  const stdio = ['ignore' as const, log, log]
  const child = spawnTied([...shell, ...places, ...command(init)], { stdio })
  closeSync(log)
  return child
}

async function waitUntilReady(
  folder: string,
  { address }: HostNetwork,
  child: ChildProcess,
): Promise<void> {
  const check = async () => {
    if (child.exitCode !== null) throw new Error('it ended')
    return (await showsBanner(address)) || undefined
  }
  try {
    await until('the booted host to answer', check, 1_200_000)
  } catch (error) {
    const log = readFileSync(join(folder, 'console.log'), 'utf8').slice(-2000)
    throw new Error(`the booted host did not start:\n${log}`, { cause: error })
  }
}

/** Boots a host. It ends with this process at the latest. Its packages come over the machine's own network. */
export async function bootHost(options: BootOptions = {}): Promise<BootedHost> {
  const undo: (() => unknown)[] = []
  const dispose = async () => {
    for (const step of undo.reverse()) await step()
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'booted-'))
    undo.push(() => rm(folder, { recursive: true, force: true }))
    undo.push(() => removeWhenFree(groupOf(folder)))
    const { network, address } = options.place ?? (await makePlace(undo))
    const keys = await makeDisk(folder, options)
    const host = await makeNetwork(network, address)
    undo.push(() => host[Symbol.asyncDispose]())
    let child: ChildProcess | undefined
    const run = () => {
      if (child === undefined) throw new Error('the booted host is stopped')
      return child
    }
    const begin = async () => {
      child = await start(folder, host, options)
      await waitUntilReady(folder, host, child)
    }
    const stop = async (force: boolean) => {
      if (child) await (force ? kill(child) : shutDown(child))
      child = undefined
    }
    undo.push(() => stop(true))
    await begin()
    return {
      ...keys,
      address: host.address,
      disk: join(folder, 'disk'),
      get root() {
        return `/proc/${firstProcess(run())}/root`
      },
      exec: (command) => enter(run(), command),
      start: begin,
      stop,
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** A place on a switch of its own. */
async function makePlace(undo: (() => unknown)[]): Promise<NonNullable<BootOptions['place']>> {
  const network = await addSwitch()
  undo.push(() => removeSwitch(network))
  return { network, address: `${network.prefix}.11` }
}

/** A control group is busy until the last of its killed processes is reaped. */
const removeWhenFree = (group: string) =>
  until(`the control group ${group} to be free`, () => {
    try {
      removeControlGroups(group)
      return true
    } catch (error) {
      if (codeOf(error) === 'EBUSY') return undefined
      throw error
    }
  })

/** The host's first process goes with nspawn, and every other with that one. */
async function kill(child: ChildProcess): Promise<void> {
  for (const pid of childrenOf(child.pid ?? 0)) process.kill(pid, 'SIGKILL')
  child.kill('SIGKILL')
  await ended(child)
}

/** nspawn passes SIGTERM on as systemd's signal to power off (systemd-nspawn(1)). */
async function shutDown(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  await ended(child)
}

function firstProcess(child: ChildProcess): number {
  const pid = childrenOf(child.pid ?? 0)[0]
  if (pid === undefined) throw new Error('the booted host is not running')
  return pid
}

function enter(child: ChildProcess, command: string): Promise<Finished> {
  const pid = firstProcess(child)
  const argv = [`--target=${pid}`, '--all', '--', '/bin/sh', '-c', command]
  return finish(spawn('/usr/bin/nsenter', argv, { stdio: ['ignore', 'pipe', 'pipe'] }))
}
