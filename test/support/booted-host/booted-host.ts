import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { codeOf } from '../../../src/errors.ts'
import { removeControlGroups } from '../lab/control-groups.ts'
import { addSwitch, removeSwitch } from '../lab/network.ts'
import { type Finished, childrenOf, ended, finish, spawnTied, until } from '../lab/process.ts'
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
  /** Runs a shell command on the host, as root, not through SSH. */
  exec(command: string): Promise<Finished>
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

/** Makes what the host's disk has over the root folder. Gives its keys. */
async function makeDisk(folder: string, options: BootOptions) {
  for (const part of ['disk', 'work', 'root', 'docker']) await mkdir(join(folder, part))
  const identity = await makeKey(join(folder, 'id'), 'booted')
  const host = await makeKey(join(folder, 'host-key'), 'booted')
  const key = readFileSync(host.file, 'utf8')
  const seed = 'var/lib/cloud/seed/nocloud'
  const own = userData(key, host.publicKey, identity.publicKey, options.runcmd ?? [])
  const files = {
    [`${seed}/meta-data`]: `instance-id: ${basename(folder)}\nlocal-hostname: booted\n`,
    [`${seed}/user-data`]: options.userData ?? own,
    'root/.ssh/authorized_keys': `${identity.publicKey}\n`,
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
    await until('the booted host to answer', check, 90_000)
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
    const network = await addSwitch()
    undo.push(() => removeSwitch(network))
    const keys = await makeDisk(folder, options)
    const host = await makeNetwork(network, `${network.prefix}.11`)
    undo.push(() => host[Symbol.asyncDispose]())
    const child = await start(folder, host, options)
    undo.push(() => kill(child))
    await waitUntilReady(folder, host, child)
    const exec = (command: string) => enter(child, command)
    const root = `/proc/${firstProcess(child)}/root`
    return { ...keys, address: host.address, root, exec, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
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
