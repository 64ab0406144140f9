import { stat } from 'node:fs/promises'
import { lock } from 'proper-lockfile'
import { codeOf, UserError } from '../errors.ts'
import { retry } from './retry.ts'

/**
 * How long to wait for a lock, and the time without an update after which its owner counts as dead, in milliseconds.
 */
const timeouts = { wait: 30_000, stale: 10_000 }

/**
 * Error codes for a lock that another process holds. Windows also returns EPERM and EBUSY while a lock is being
 * released.
 */
const busy = new Set(process.platform === 'win32' ? ['ELOCKED', 'EPERM', 'EBUSY'] : ['ELOCKED'])

const isBusy = (error: unknown): boolean => busy.has(codeOf(error) ?? '')

/**
 * Resolves to whether this process still holds the lock: another process may have taken it over while the computer
 * slept.
 */
export type IsHeld = () => Promise<boolean>

/** Acquires the lock; resolves to the function that releases it. */
async function acquire(
  file: string,
  wait: number,
  onCompromised: () => void,
): Promise<() => Promise<void>> {
  try {
    return await retry(
      () => lock(file, { realpath: false, stale: timeouts.stale, onCompromised }),
      {
        canRetry: isBusy,
        pauseMs: 10,
        longestMs: 200,
        withinMs: wait,
        jitter: (ms) => ms * (0.5 + Math.random()),
      },
    )
  } catch (error) {
    if (!isBusy(error)) throw error
    throw new UserError(
      'locked',
      `${file} is locked by another fleet process (waited ${wait / 1000} s)`,
      {
        hint: `try again; if no other fleet process is running, remove the directory ${file}.lock`,
        cause: error,
      },
    )
  }
}

/**
 * Runs `work` while this process holds a lock on `file`: the directory `FILE.lock`, which is empty, so git ignores it.
 * The lock of a dead process is taken over after 10 s. Throws kind `locked` if other processes hold the lock for `wait`
 * milliseconds; rethrows file system errors immediately.
 */
export async function withLock<Result>(
  file: string,
  work: (isHeld: IsHeld) => Promise<Result>,
  wait: number = timeouts.wait,
): Promise<Result> {
  const folder = `${file}.lock`
  let compromised = false
  const release = await acquire(file, wait, () => {
    compromised = true
  })
  const identify = (): Promise<number | undefined> =>
    stat(folder).then(
      ({ ino }) => ino,
      () => undefined,
    )
  const self = await identify()
  const isHeld = async (): Promise<boolean> => !compromised && (await identify()) === self
  try {
    return await work(isHeld)
  } finally {
    if (await isHeld()) await release()
  }
}
