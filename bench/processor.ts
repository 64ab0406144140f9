import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Mount points of cgroup controllers that account for processor time: two possible names in cgroup v1, and two in v2
 * (cgroups(7)).
 */
const places = ['cpuacct', 'cpu,cpuacct', 'unified', '.']
/** The control group of this run, which test/support/lab/enter.sh removes. */
const group = join(basename(tmpdir()), 'client')

interface Account {
  readonly folder: string
  /** Returns the processor time used so far, in milliseconds. */
  readonly read: () => number
}

function openAccount(): Account {
  for (const place of places) {
    const parent = join('/sys/fs/cgroup', place)
    if (!existsSync(join(parent, 'cgroup.procs'))) continue
    const folder = join(parent, group)
    mkdirSync(folder, { recursive: true })
    const usage = join(folder, 'cpuacct.usage')
    if (existsSync(usage)) return { folder, read: () => Number(readFileSync(usage, 'utf8')) / 1e6 }
    const stat = join(folder, 'cpu.stat')
    const read = () => Number(/^usage_usec (\d+)$/m.exec(readFileSync(stat, 'utf8'))?.[1]) / 1000
    if (existsSync(stat) && !Number.isNaN(read())) return { folder, read }
  }
  throw new Error('no control group counts processor time here')
}

let account: Account | undefined

/** Starts measuring the processor time used by a process and all its descendants. */
export function countProcess(pid: number): void {
  account ??= openAccount()
  try {
    writeFileSync(join(account.folder, 'cgroup.procs'), String(pid))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // the process has exited already
  }
}

const quietMs = 60
const mostWaits = 50

/**
 * The processor time of all counted processes, in milliseconds. Waits until they are idle, because some processes are
 * still running after a command has exited: docker's ssh, and fleet's broker.
 */
export async function processorTime(): Promise<number> {
  account ??= openAccount()
  let last = account.read()
  for (let wait = 0; wait < mostWaits; wait += 1) {
    await sleep(quietMs)
    const now = account.read()
    if (now - last < 0.5) return now
    last = now
  }
  return last
}

/** The length of a tick in /proc (USER_HZ of Linux), in milliseconds. */
const tickMs = 10

/** The processor time of one process without its child processes, in milliseconds (proc(5)). */
export function processorTimeOf(pid: number): number {
  // The name of the program, in parentheses, can contain spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tickMs
}
