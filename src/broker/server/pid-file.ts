import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessRef } from '../../transport/transport.ts'
import { socketIn } from '../runtime-dir.ts'
import { traceError } from '../../os/trace.ts'

const noteIn = (folder: string): string => join(folder, 'broker.json')

/** How long a process that was killed may take to be gone, in milliseconds. */
const goneMs = 2_000
const pollMs = 10

/** Notes which process is the broker of a folder, for the time when it does not tell itself. */
export async function noteBroker(folder: string, self: ProcessRef): Promise<void> {
  const fresh = `${noteIn(folder)}.${self.pid}`
  await writeFile(fresh, JSON.stringify(self), { mode: 0o600 })
  await rename(fresh, noteIn(folder))
}

/** What a person can do about a broker that cannot be ended from here. */
export async function describeEnd(folder: string): Promise<string> {
  try {
    const { pid } = JSON.parse(await readFile(noteIn(folder), 'utf8')) as ProcessRef
    return `stop its process, on the computer or in the container that started it: kill ${pid}`
  } catch (error) {
    traceError('broker', 'read which process the broker is', error)
    return `stop its process, and remove ${socketIn(folder)}: the next command starts a new one`
  }
}

/** What a process is doing, as its system tells. */
export interface ProcessActivity extends ProcessRef {
  /** R for one that runs or is ready to, T for one that is stopped by a signal (the letters of ps(1)). */
  readonly state: string
  /** The processor time that it has used. */
  readonly processorMs: number
}

/** Finds a process by its number. */
export type FindProcess = (pid: number) => Promise<ProcessActivity | undefined>

/** How long a process that does not run must have used no processor to count as one that hangs, in milliseconds. */
const idleMs = 3_000
/** How much processor time a broker may use before it hears a command: all its work is done in small parts. */
const longestWorkMs = 20_000

/** A broker that did not answer. */
export type Verdict =
  /** It hung, and was killed; or it is another one by now. */
  | 'gone'
  /** It works, or waits for a processor: it will answer. */
  | 'works'
  /** It is not known which process it is, or it may not be killed. */
  | 'unknown'

/**
 * Judges the broker of a folder, which was asked at `askedAt` (Unix milliseconds) and does not answer. One that makes no
 * progress is killed, so that what runs through it ends with an error and does not hang for ever.
 */
export function openJudge(
  folder: string,
  askedAt: number,
  find: FindProcess,
): () => Promise<Verdict> {
  let first: ProcessActivity | undefined

  /** Whether it makes progress. One that is stopped by a signal, or loops for ever, makes none. */
  async function works(holder: ProcessRef): Promise<boolean> {
    const began = performance.now()
    for (;;) {
      const now = await find(holder.pid)
      if (now === undefined || now.since !== holder.since) return true // ended: asking again finds out
      first ??= now
      if (now.state === 'T' || now.processorMs - first.processorMs > longestWorkMs) return false
      if (now.state === 'R' || now.processorMs > first.processorMs) return true
      if (performance.now() - began > idleMs) return false
      await sleep(pollMs * 10)
    }
  }

  async function end({ pid, since }: ProcessRef): Promise<Verdict> {
    process.kill(pid, 'SIGKILL')
    for (let waited = 0; waited < goneMs; waited += pollMs) {
      if ((await find(pid))?.since !== since) break // or it is dead, if not yet buried
      await sleep(pollMs)
    }
    return 'gone'
  }

  return async () => {
    try {
      const { mtimeMs } = await stat(noteIn(folder))
      if (mtimeMs > askedAt) return 'gone'
      const holder = JSON.parse(await readFile(noteIn(folder), 'utf8')) as ProcessRef
      // Another computer's or container's, where home is shared, is not known here by this number and start.
      if (holder.pid === process.pid || holder.since === undefined) return 'unknown'
      if ((await find(holder.pid))?.since !== holder.since) return 'unknown'
      return (await works(holder)) ? 'works' : await end(holder)
    } catch (error) {
      traceError('broker', 'find the process of the broker', error)
      return 'unknown' // no note, or no right to end it
    }
  }
}
