import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DiskPlan, makeDisk, makeHostKey } from './host-disk.ts'
import { type Switch, plugIn, unplug } from './network.ts'
import {
  type Finished,
  childrenOf,
  descendantsOf,
  ended,
  finish,
  spawnTied,
  until,
} from './process.ts'

/** How to run a program on a host. */
export interface HostSpawnOptions {
  /** Joins and replaces the plain environment of root on the host. */
  readonly env?: Readonly<Record<string, string>>
  /** Default: root's home. */
  readonly cwd?: string
}

/** A computer of the lab. Its methods act on it from outside, never through its SSH server. */
export interface LabHost {
  readonly name: string
  readonly address: string
  readonly port: 22
  readonly user: 'root'
  /** The public host key that its SSH server shows now: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string
  /** Its engine's socket, as this process sees it. Changes when the host is started again. */
  readonly engineSocket: string
  /** Root's home, as the host sees it. */
  readonly home: string
  /** Runs a shell command on the host, as root. */
  exec(command: string, options?: HostSpawnOptions): Promise<Finished>
  /** Starts a program on the host, as root, with piped input and output. `kill` on it reaches the program itself. */
  spawn(argv: readonly string[], options?: HostSpawnOptions): ChildProcess
  /** Starts the host and waits until its services answer. */
  start(): Promise<void>
  /** Shuts the host down in good order. Its disk stays. */
  stop(): Promise<void>
  /** Pulls the plug. */
  kill(): Promise<void>
  /** Halts its SSH server and all sessions: connections are accepted (by the kernel) and nothing ever answers. */
  pause(): void
  /** Ends `pause`. */
  resume(): void
  /** Has every packet to and from it thrown away, without any notice to the other side; or ends that. */
  drop(on: boolean): Promise<void>
  /** Gives it a new host key and waits until its SSH server shows it. Gives the new key. */
  replaceHostKey(): Promise<string>
}

/** What a host is made from. */
export interface HostPlan extends Omit<DiskPlan, 'publicKey'> {
  readonly publicKey: string
  /** Its disk and logs. */
  readonly folder: string
  readonly network: Switch
  /** Options of dockerd(8); none: the host has no engine. */
  readonly engine: readonly string[]
}

const initScript = fileURLToPath(new URL('host-init.sh', import.meta.url))
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const environment = {
  PATH: path,
  HOME: '/srv/root',
  USER: 'root',
  LOGNAME: 'root',
  SHELL: '/bin/bash',
  LANG: 'C.UTF-8',
}

/** The processes that are a running host: `unshare`, which ends with it, and the host's PID 1. */
interface Running {
  readonly child: ChildProcess
  readonly pid: number
}

const cableOf = (plan: HostPlan) => `${plan.network.bridge}${plan.name}`

async function boot(plan: HostPlan): Promise<Running> {
  const log = openSync(join(plan.folder, 'init.log'), 'a')
  const namespaces = ['--mount', '--net', '--pid', '--uts', '--ipc']
  const tied = ['--fork', '--kill-child=KILL', '--mount-proc']
  const init = ['sh', initScript, plan.name, plan.address, plan.folder, ...plan.engine]
  const child = spawnTied(['unshare', ...namespaces, ...tied, ...init], {
    env: environment,
    stdio: ['pipe', log, log],
    cwd: '/',
  })
  closeSync(log)
  const pid = await until(
    `${plan.name} to have a first process`,
    () => childrenOf(child.pid ?? 0)[0],
  )
  await plugIn(plan.network, cableOf(plan), pid)
  child.stdin?.end()
  return { child, pid }
}

/** Whether a connection's first bytes are an SSH server's (RFC 4253 4.2). */
const showsBanner = (host: string, port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port })
    socket.setTimeout(1000, () => socket.destroy())
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1').startsWith('SSH-'))
      socket.destroy()
    })
    socket.on('error', () => {})
    socket.once('close', () => resolve(false))
  })

/** Whether an engine answers on a socket. */
const answersPing = (socketPath: string) =>
  new Promise<boolean>((resolve) => {
    const ping = request({ socketPath, path: '/_ping' }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    ping.on('error', () => resolve(false))
    ping.end()
  })

const logOf = (folder: string, file: string) => {
  try {
    return readFileSync(join(folder, file), 'utf8').slice(-2000)
  } catch {
    return ''
  }
}

const socketOf = (pid: number) => `/proc/${pid}/root/run/docker.sock`

async function waitUntilReady(
  { folder, ...plan }: HostPlan,
  { child, pid }: Running,
): Promise<void> {
  const check = async () => {
    if (child.exitCode !== null) throw new Error('it ended')
    const ready =
      (await showsBanner(plan.address, 22)) &&
      (plan.engine.length === 0 || (await answersPing(socketOf(pid))))
    return ready || undefined
  }
  try {
    await until(`${plan.name} to answer`, check, 60_000)
  } catch (error) {
    const logs = ['init.log', 'log/sshd.log', 'log/dockerd.log'].map((file) => logOf(folder, file))
    throw new Error(`${plan.name} did not start:\n${logs.join('\n')}`, { cause: error })
  }
}

function enter(pid: number, argv: readonly string[], { env, cwd }: HostSpawnOptions): ChildProcess {
  const child = spawn(
    '/usr/bin/nsenter',
    [`--target=${pid}`, '--all', `--wdns=${cwd ?? environment.HOME}`, '--', ...argv],
    { env: { ...environment, ...env }, stdio: 'pipe' },
  )
  // nsenter waits for the program, which is its child, and ends as it ends.
  child.kill = (signal) => {
    const program = childrenOf(child.pid ?? 0)[0]
    return program !== undefined && process.kill(program, signal)
  }
  return child
}

/** Makes a host and starts it. It ends with this process at the latest. */
export async function startHost(plan: HostPlan): Promise<LabHost> {
  let hostKey = await makeDisk(plan.folder, plan)
  let running: Running | undefined

  const pid = () => {
    if (!running) throw new Error(`${plan.name} is not running`)
    return running.pid
  }
  const run = (argv: readonly string[], options: HostSpawnOptions = {}) =>
    enter(pid(), argv, options)
  const exec = (command: string, options?: HostSpawnOptions) => {
    const child = run(['/bin/sh', '-c', command], options)
    child.stdin?.end()
    return finish(child)
  }
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (!running) return
    const { child, pid } = running
    running = undefined
    process.kill(pid, signal)
    await ended(child)
    await unplug(cableOf(plan))
  }
  const signalSshd = (signal: NodeJS.Signals) => {
    for (const id of descendantsOf(pid()))
      if (readFileSync(`/proc/${id}/comm`, 'utf8').startsWith('sshd')) process.kill(id, signal)
  }

  const host: LabHost = {
    name: plan.name,
    address: plan.address,
    port: 22,
    user: 'root',
    home: environment.HOME,
    get hostKey() {
      return hostKey
    },
    get engineSocket() {
      return socketOf(pid())
    },
    exec,
    spawn: run,
    async start() {
      if (running) return
      running = await boot(plan)
      await waitUntilReady(plan, running)
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    pause: () => signalSshd('SIGSTOP'),
    resume: () => signalSshd('SIGCONT'),
    async drop(on) {
      const action = on ? '-I' : '-D'
      const rule = `iptables -w ${action} INPUT -i eth0 -j DROP && iptables -w ${action} OUTPUT -o eth0 -j DROP`
      const { code, stderr } = await exec(rule)
      if (code !== 0) throw new Error(`iptables on ${plan.name}: ${stderr}`)
    },
    async replaceHostKey() {
      hostKey = await makeHostKey(
        running ? `/proc/${pid()}/root/etc` : join(plan.folder, 'etc'),
        plan.name,
      )
      if (running) {
        await exec('kill -HUP "$(cat /run/sshd.pid)"')
        await until(
          `${plan.name} to show its new key`,
          async () =>
            (await exec('ssh-keyscan -t ed25519 127.0.0.1')).stdout.includes(hostKey) || undefined,
        )
      }
      return hostKey
    },
  }
  try {
    await host.start()
  } catch (error) {
    await host.kill()
    throw error
  }
  return host
}
