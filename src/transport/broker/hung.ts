import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Holder } from '../transport.ts'
import { socketIn } from './place.ts'

const noteIn = (folder: string): string => join(folder, 'broker.json')

/** How long a process that was killed may take to be gone, in milliseconds. */
const goneMs = 2_000
const pollMs = 10

/** Notes which process is the broker of a folder, for the time when it does not tell itself. */
export async function noteBroker(folder: string, self: Holder): Promise<void> {
  const fresh = `${noteIn(folder)}.${self.pid}`
  await writeFile(fresh, JSON.stringify(self), { mode: 0o600 })
  await rename(fresh, noteIn(folder))
}

/** What a person can do about a broker that cannot be ended from here. */
export async function describeEnd(folder: string): Promise<string> {
  try {
    const { pid } = JSON.parse(await readFile(noteIn(folder), 'utf8')) as Holder
    return `end its process, on the computer or in the container that started it: kill ${pid}`
  } catch {
    return `end its process, and remove ${socketIn(folder)}: the next command starts another one`
  }
}

/**
 * Kills the broker of a folder, which was asked at `askedAt` (Unix milliseconds) and does not answer: what runs through it
 * ends with an error and does not hang for ever. One that was started since is left alone. Whether there is none any more.
 */
export async function endHungBroker(
  folder: string,
  askedAt: number,
  isAlive: (holder: Holder) => Promise<boolean>,
): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(noteIn(folder))
    if (mtimeMs > askedAt) return true
    const holder = JSON.parse(await readFile(noteIn(folder), 'utf8')) as Holder
    // Another computer's or container's, where home is shared, is not known here by this number and start.
    if (holder.pid === process.pid || holder.since === undefined) return false
    if (!(await isAlive(holder))) return false
    process.kill(holder.pid, 'SIGKILL')
    for (let waited = 0; waited < goneMs; waited += pollMs) {
      if (!(await isAlive(holder))) return true
      await sleep(pollMs)
    }
    return true // dead, if not yet buried
  } catch {
    return false // no note, or no right to end it
  }
}
