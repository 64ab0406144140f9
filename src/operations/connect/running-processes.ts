import { readFile } from 'node:fs/promises'
import type { ProcessActivity } from '../../broker/server/pid-file.ts'
import type { ProcessRef } from '../../transport/transport.ts'
import { execProgram } from '../../os/exec-file.ts'
import { traceError } from '../../os/trace.ts'

/** A process of this computer. */
export interface RunningProcess extends ProcessActivity {
  readonly parent: number
  /** The file name of the program, as reported by the system. */
  readonly name: string
  /** The session ID (setsid(2)), which the processes started from one terminal window or login share. */
  readonly session: string
}

/** The unit of processor time in /proc, in milliseconds: USER_HZ is 100 wherever Node.js runs. */
const tickMs = 10

/**
 * Reads /proc/PID/stat (proc_pid_stat(5)): `pid (name) state parent group session …`. The 14th and 15th fields are the
 * processor time, and the 22nd is the start time.
 */
async function readProc(pid: number): Promise<RunningProcess> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  const end = text.lastIndexOf(')')
  const fields = text.slice(end + 2).split(' ')
  return {
    pid,
    name: text.slice(text.indexOf('(') + 1, end),
    parent: Number(fields[1]),
    session: fields[3] ?? '',
    since: fields[19],
    state: fields[0] ?? '',
    processorMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
  }
}

/** Converts `[[days-]hours:]minutes:seconds[.hundredths]` to milliseconds. */
function parseProcessorTime(text: string): number {
  const [days, clock = ''] = text.includes('-') ? text.split('-') : ['0', text]
  const seconds = clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
  return (Number(days) * 86_400 + seconds) * 1000
}

/** Uses the columns of ps(1) in POSIX, plus `lstart` and `stat`, which macOS and the BSDs support. */
async function askPs(pid: number): Promise<RunningProcess> {
  const names = ['ppid', 'tty', 'stat', 'time', 'lstart', 'comm']
  const columns = [...names.flatMap((name) => ['-o', `${name}=`]), '-p', String(pid)]
  const { stdout } = await execProgram('ps', columns)
  const [parent = '', session = '', state = '', time = '', ...rest] = stdout.trim().split(/\s+/)
  const name = rest.slice(5).join(' ').split('/').at(-1) ?? ''
  const since = rest.slice(0, 5).join(' ')
  const activity = { state: state.slice(0, 1), processorMs: parseProcessorTime(time) }
  return { pid, parent: Number(parent), session, since, name: name.replace(/^-/, ''), ...activity }
}

/** Finds a process by its PID; undefined if it does not exist or cannot be read. */
export async function findProcess(pid: number): Promise<RunningProcess | undefined> {
  try {
    return await (process.platform === 'linux' ? readProc(pid) : askPs(pid))
  } catch (error) {
    traceError('broker', 'find the process', error)
    return undefined
  }
}

/** The maximum number of ancestors to look at, which limits how deeply shells may be nested. */
const mostAncestors = 16

/** The ancestors of this process in the same session, starting with its parent. */
export async function findAncestors(): Promise<readonly RunningProcess[]> {
  const own = await findProcess(process.pid)
  const found: RunningProcess[] = []
  for (let pid = process.ppid; pid > 1 && found.length < mostAncestors;) {
    const next = await findProcess(pid)
    if (next === undefined || next.session !== own?.session) break
    found.push(next)
    pid = next.parent
  }
  return found
}

/** Whether a process is still running and its PID has not been reused. */
export async function isAlive({ pid, since }: ProcessRef): Promise<boolean> {
  return (await findProcess(pid))?.since === since
}
