import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Holder } from '../transport/transport.ts'

/** A process of this computer. */
export interface RunningProcess extends Holder {
  readonly parent: number
  /** Its program's file name, as far as the system tells it. */
  readonly name: string
  /** What processes share that were started from the same terminal window or login. */
  readonly session: string
}

/** proc_pid_stat(5): `pid (name) state parent group session …`, the start time being the 22nd field. */
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
  }
}

/** ps(1) of POSIX, and its `lstart`, which macOS and the BSDs have. */
async function askPs(pid: number): Promise<RunningProcess> {
  const columns = ['-o', 'ppid=', '-o', 'tty=', '-o', 'lstart=', '-o', 'comm=', '-p', String(pid)]
  const { stdout } = await promisify(execFile)('ps', columns)
  const [parent = '', session = '', ...rest] = stdout.trim().split(/\s+/)
  const name = rest.slice(5).join(' ').split('/').at(-1) ?? ''
  const since = rest.slice(0, 5).join(' ')
  return { pid, parent: Number(parent), session, since, name: name.replace(/^-/, '') }
}

/** A process by its number; undefined when there is none, or the system does not tell. */
export async function findProcess(pid: number): Promise<RunningProcess | undefined> {
  try {
    return await (process.platform === 'linux' ? readProc(pid) : askPs(pid))
  } catch {
    return undefined
  }
}

/** Far more than shells stand inside each other. */
const mostAncestors = 16

/** The processes that this one comes from and that share its session, the nearest first. */
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

/** Whether a process still runs, and its number has not gone to another one. */
export async function isAlive({ pid, since }: Holder): Promise<boolean> {
  return (await findProcess(pid))?.since === since
}
