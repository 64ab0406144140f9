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

/** A Debian host without Docker, like a new host of a provider. It boots, and can install packages. */
export interface BootedHost extends AsyncDisposable {
  readonly address: string
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string
  /** The login key of the accounts root and debian; debian can use sudo. */
  readonly identity: Identity
  /** The host's root directory, as seen by this process. */
  readonly root: string
  /** The upper directory of the host's overlay file system, with its changes to the shared root directory. */
  readonly disk: string
  /** Runs a shell command on the host as root, without SSH. */
  exec(command: string): Promise<Finished>
  /** Shuts the host down, or, with `force`, kills it. The disk is kept. */
  stop(force: boolean): Promise<void>
  /** Starts the host again after `stop`, and waits until sshd answers. */
  start(): Promise<void>
}

/** The options of a booted host. */
export interface BootOptions {
  /** The init system (default: `systemd`). With `none`, only sshd runs, as in a container. */
  readonly init?: 'systemd' | 'none'
  /** Commands that cloud-init runs as its last step, while its status is still `running`. */
  readonly runcmd?: readonly string[]
  /** Replaces the default user-data, which creates the account debian, installs the host key and runs `runcmd`. */
  readonly userData?: string | Uint8Array
  /** Files to put on the disk, keyed by path. Files in a directory whose name ends in `bin` are executable. */
  readonly files?: Readonly<Record<string, string>>
  /** Makes the disk like a provider's image, which does not allow root logins. */
  readonly provider?: Provider
  /** An address on an existing switch; by default, the host gets a new switch. */
  readonly place?: { readonly network: Switch; readonly address: string }
  /** A running host whose disk is copied, with its packages and login keys, but without its engine's data. */
  readonly like?: Pick<BootedHost, 'disk'>
}

/** The data that a provider passes to cloud-init in addition to user-data. All default modules run, even slow ones. */
interface Provider {
  /** The name of the image's default account. */
  readonly user: string
  /** Login keys of that account. */
  readonly publicKeys: readonly string[]
}

const bootScript = fileURLToPath(new URL('boot.sh', import.meta.url))
const indent = (text: string) => text.trim().replaceAll(/^/gm, '    ')

/** Returns the default user-data, for cloud-init's NoCloud datasource. */
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

/** Returns the cloud-init configuration of a provider's image. */
const providerConfig = (user: string) => `#cloud-config
system_info:
  default_user: { name: ${user}, groups: [adm, sudo], sudo: ["ALL=(ALL) NOPASSWD:ALL"], shell: /bin/bash, lock_passwd: true }
users: [default]
preserve_hostname: false
cloud_init_modules: [bootcmd, write-files, set_hostname, update_hostname, update_etc_hosts, ca-certs, users-groups, ssh]
cloud_config_modules: [ssh-import-id, set-passwords, apt-configure, timezone, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-per-boot, scripts-per-instance, scripts-user, ssh-authkey-fingerprints, final-message, power-state-change]
`

/** Returns the cloud-init files of a provider's image, except for the user-data. */
const providerFiles = ({ publicKeys, user }: Provider, folder: string): Record<string, string> => ({
  [`${seedFolder}/meta-data`]: JSON.stringify({
    'instance-id': basename(folder),
    'local-hostname': basename(folder).toLowerCase(),
    'public-keys': publicKeys,
  }),
  'etc/cloud/cloud.cfg.d/95_provider.cfg': providerConfig(user),
})

/** Returns the files of a host without a provider. */
const ownFiles = (folder: string, { publicKey }: Identity): Record<string, string> => ({
  [`${seedFolder}/meta-data`]: `instance-id: ${basename(folder)}\nlocal-hostname: booted\n`,
  'root/.ssh/authorized_keys': `${publicKey}\n`,
})

/**
 * Creates the host's disk, which holds its changes to the shared root directory. Returns the login key and the host
 * key.
 */
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

/** Starts systemd-nspawn. Returns its process. */
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

/**
 * Boots a host. It is stopped when this process exits, at the latest. It downloads packages through
 * this computer's network.
 */
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

/** Creates a switch, and returns an address on it. */
async function makePlace(undo: (() => unknown)[]): Promise<NonNullable<BootOptions['place']>> {
  const network = await addSwitch()
  undo.push(() => removeSwitch(network))
  return { network, address: `${network.prefix}.11` }
}

/** Removes a control group, which is busy until its last killed process is reaped. */
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

/** Kills systemd-nspawn and the host's PID 1; the kernel then kills the other processes of the PID namespace. */
async function kill(child: ChildProcess): Promise<void> {
  for (const pid of childrenOf(child.pid ?? 0)) process.kill(pid, 'SIGKILL')
  child.kill('SIGKILL')
  await ended(child)
}

/** Shuts a host down: systemd-nspawn forwards SIGTERM as the signal to power off (systemd-nspawn(1)). */
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
