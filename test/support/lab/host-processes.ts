import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Switch, plugIn, unplug } from './network.ts'
import { childrenOf, ended, hasEnded, signalProcess, spawnTied, until } from './process.ts'

/** Configuration of a host. */
export interface BootPlan {
  readonly name: string
  readonly address: string
  /** Directory with the host's disk and logs. */
  readonly folder: string
  readonly network: Switch
  /** Options of dockerd(8); if empty, the host has no engine. */
  readonly engine: readonly string[]
}

/** A running host. */
export interface RunningHost {
  /** The `unshare` process, which exits together with the host. */
  readonly child: ChildProcess
  /** PID of the host's init process in this PID namespace. */
  readonly pid: number
  /** Name of the host's network interface on the switch. */
  readonly cable: string
}

/** Options for running a program on a host. */
export interface HostSpawnOptions {
  /** Variables that extend or override the default environment of root. */
  readonly env?: Readonly<Record<string, string>>
  /** The working directory (default: root's home directory). */
  readonly cwd?: string
}

/** The environment of root on a host. */
export const environment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/srv/root',
  USER: 'root',
  LOGNAME: 'root',
  SHELL: '/bin/bash',
  LANG: 'C.UTF-8',
}

const initScript = fileURLToPath(new URL('host-init.sh', import.meta.url))
const namespaces = ['--mount', '--net', '--pid', '--uts', '--ipc', '--mount-proc']

/** Starts a host, which is killed at the latest when this process exits. Does not wait until its services answer. */
export async function bootHost(plan: BootPlan): Promise<RunningHost> {
  const log = openSync(join(plan.folder, 'init.log'), 'a')
  const init = ['sh', initScript, plan.name, plan.address, plan.folder, ...plan.engine]
  const child = spawnTied(['unshare', ...namespaces, '--fork', '--kill-child=KILL', ...init], {
    env: environment,
    stdio: ['pipe', log, log],
    cwd: '/',
  })
  closeSync(log)
  try {
    const firstProcess = () => childrenOf(child.pid ?? 0)[0]
    const pid = await until(`${plan.name} to have a first process`, firstProcess)
    const cable = `${plan.network.bridge}${plan.name}`
    await plugIn(plan.network, cable, pid)
    child.stdin?.end()
    return { child, pid, cable }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}

/** Stops a host: SIGTERM shuts it down, and SIGKILL kills it. Resolves when all its processes are gone. */
export async function endHost(
  { child, pid, cable }: RunningHost,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  if (!hasEnded(child)) signalProcess(pid, signal)
  await ended(child)
  await unplug(cable)
}

/** Starts a program in a host's namespaces. Its `kill` sends signals to the program itself. */
export function spawnInHost(
  { pid }: RunningHost,
  argv: readonly string[],
  { env, cwd = environment.HOME }: HostSpawnOptions = {},
): ChildProcess {
  const child = spawn(
    '/usr/bin/nsenter',
    [`--target=${pid}`, '--all', '--root', `--wdns=${cwd}`, '--', ...argv],
    { env: { ...environment, ...env }, stdio: 'pipe' },
  )
  // nsenter is the program's parent: it waits for the program, and exits with its status.
  child.kill = (signal) => {
    const program = childrenOf(child.pid ?? 0)[0]
    return program !== undefined && process.kill(program, signal)
  }
  return child
}
