import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'

/** Age of a lock, in milliseconds, that exceeds the time after which the lock's owner counts as dead. */
const age = 60_000

/**
 * Makes the locks in directories one minute older, so that nothing waits for the locks of dead processes. Call it only
 * when their owners have exited.
 */
export async function ageLocks(...folders: readonly string[]): Promise<void> {
  const past = new Date(Date.now() - age)
  for (const folder of folders) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      if (!entry.isDirectory() || !entry.name.endsWith('.lock')) continue
      await utimes(join(entry.parentPath, entry.name), past, past)
    }
  }
}
