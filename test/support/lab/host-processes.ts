import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Switch, plugIn, unplug } from './network.ts'
import { childrenOf, ended, hasEnded, signalProcess, spawnTied, until } from './process.ts'

/** What a host is started from. */
export interface BootPlan {
  readonly name: string
  readonly address: string
  /** Its disk and logs. */
  readonly folder: string
  readonly network: Switch
  /** Options of dockerd(8); none: the host has no engine. */
  readonly engine: readonly string[]
}

/** A running host. */
export interface RunningHost {
  /** `unshare`, which lives as long as the host. */
  readonly child: ChildProcess
  /** The host's PID 1, as this process sees it. */
  readonly pid: number
  /** This side's end of its network cable. */
  readonly cable: string
}

/** How to run a program on a host. */
export interface HostSpawnOptions {
  /** Joins and replaces the plain environment of root on the host. */
  readonly env?: Readonly<Record<string, string>>
  /** Default: root's home. */
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

/** Starts a host, which ends with this process at the latest. Its services take a while longer to answer. */
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

/** Ends a host: SIGTERM shuts it down, SIGKILL pulls the plug. Resolves when all its processes are gone. */
export async function endHost(
  { child, pid, cable }: RunningHost,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  if (!hasEnded(child)) signalProcess(pid, signal)
  await ended(child)
  await unplug(cable)
}

/** Starts a program in a host's namespaces. `kill` on it reaches the program itself. */
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
  // nsenter waits for the program, which is its child, and ends as it ends
  child.kill = (signal) => {
    const program = childrenOf(child.pid ?? 0)[0]
    return program !== undefined && process.kill(program, signal)
  }
  return child
}
