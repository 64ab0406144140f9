import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProcessRef } from '../../transport/transport.ts'
import { brokerSocket } from '../runtime-dir.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { traceError } from '../../os/trace.ts'
import { poll } from '../../os/retry.ts'

const pidFile = (folder: string): string => join(folder, 'broker.json')

/** How long a killed process may take to disappear, in milliseconds. */
const killTimeoutMs = 2_000
const pollMs = 10

/** Records the process of the broker, in case it stops responding. */
export async function writePidFile(folder: string, self: ProcessRef): Promise<void> {
  const options = { mode: 0o600, isDurable: false }
  await replaceFile(pidFile(folder), JSON.stringify(self), options)
}

/** Returns the hint for a broker that cannot be stopped from here. */
export async function stopHint(folder: string): Promise<string> {
  try {
    const { pid } = JSON.parse(await readFile(pidFile(folder), 'utf8')) as ProcessRef
    return `stop the broker on the computer or in the container where it was started: kill ${pid}`
  } catch (error) {
    traceError('broker', "read the broker's process ID", error)
    return `stop the broker process and remove ${brokerSocket(folder)}; the next command will start a new broker`
  }
}

/** The activity of a process, as the system reports it. */
export interface ProcessActivity extends ProcessRef {
  /** The state letter of ps(1): R is running or ready to run, T is stopped by a signal. */
  readonly state: string
  /** The processor time that the process has used, in milliseconds. */
  readonly processorMs: number
}

/** Finds a process by its ID. Resolves to undefined if no such process exists. */
export type FindProcess = (pid: number) => Promise<ProcessActivity | undefined>

/** How long a sleeping process may go without using processor time before it is considered hung, in milliseconds. */
const idleMs = 3_000
/**
 * The processor time that a broker may use before it accepts a request, in milliseconds. A broker that works properly
 * uses far less, since its work is split into small steps.
 */
const maxBusyMs = 20_000

/** The state of a broker that did not respond. */
export type Verdict =
  /** The broker hung and was killed, or another broker has replaced it. */
  | 'gone'
  /** The broker is busy or waiting for a processor, and will respond. */
  | 'works'
  /** The broker's process is unknown, or this user may not kill it. */
  | 'unknown'

/**
 * Checks why the broker of a directory has not responded since `askedAt` (Unix milliseconds). A broker that makes no
 * progress is killed, so that its commands end with an error instead of hanging.
 */
export function openHangCheck(
  folder: string,
  askedAt: number,
  find: FindProcess,
): () => Promise<Verdict> {
  let first: ProcessActivity | undefined

  /** Whether the process makes progress. A process that was stopped by a signal or is in an endless loop does not. */
  async function makesProgress(owner: ProcessRef): Promise<boolean> {
    const check = async (): Promise<boolean | undefined> => {
      const now = await find(owner.pid)
      if (now === undefined || now.since !== owner.since) return true // it has ended, as the next request will show
      first ??= now
      if (now.state === 'T' || now.processorMs - first.processorMs > maxBusyMs) return false
      if (now.state === 'R' || now.processorMs > first.processorMs) return true
      return undefined
    }
    return poll(check, { pauseMs: pollMs * 10, withinMs: idleMs, otherwise: () => false })
  }

  async function kill({ pid, since }: ProcessRef): Promise<Verdict> {
    process.kill(pid, 'SIGKILL')
    const check = async (): Promise<Verdict | undefined> =>
      (await find(pid))?.since === since ? undefined : 'gone'
    // A zombie process exists until its parent waits for it.
    return poll(check, { pauseMs: pollMs, withinMs: killTimeoutMs, otherwise: () => 'gone' })
  }

  return async () => {
    try {
      const { mtimeMs } = await stat(pidFile(folder))
      if (mtimeMs > askedAt) return 'gone'
      const owner = JSON.parse(await readFile(pidFile(folder), 'utf8')) as ProcessRef
      // With a shared home directory, the file may describe a process on another computer or in another container.
      if (owner.pid === process.pid || owner.since === undefined) return 'unknown'
      if ((await find(owner.pid))?.since !== owner.since) return 'unknown'
      return (await makesProgress(owner)) ? 'works' : await kill(owner)
    } catch (error) {
      traceError('broker', 'find the broker process', error)
      return 'unknown' // no record, or no permission to kill it
    }
  }
}
