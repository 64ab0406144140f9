import { stat } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { lock } from 'proper-lockfile'
import { codeOf, UserError } from '../errors.ts'

/** How long to wait for others, in milliseconds, and how long a silent owner counts as alive. */
const patience = { wait: 30_000, stale: 10_000 }

/** What says that others hold the lock; Windows also answers so while they give it up. */
const busy = new Set(process.platform === 'win32' ? ['ELOCKED', 'EPERM', 'EBUSY'] : ['ELOCKED'])

/** Whether the lock is still ours: a computer that slept may find that others took it over. */
export type IsHeld = () => Promise<boolean>

/** Takes the lock; resolves to what gives it up. Only that others hold it is worth waiting for. */
async function acquire(
  file: string,
  wait: number,
  onCompromised: () => void,
): Promise<() => Promise<void>> {
  const deadline = Date.now() + wait
  for (let pause = 10; ; pause = Math.min(2 * pause, 200)) {
    try {
      return await lock(file, { realpath: false, stale: patience.stale, onCompromised })
    } catch (error) {
      if (!busy.has(codeOf(error) ?? '')) throw error
      if (Date.now() >= deadline) {
        throw new UserError(
          'locked',
          `${file} is locked by another fleet (waited ${wait / 1000} s)`,
          {
            hint: `try again; if no other fleet runs, remove the folder ${file}.lock`,
            cause: error,
          },
        )
      }
    }
    await setTimeout(pause * (0.5 + Math.random()))
  }
}

/**
 * Runs `work` while this process holds the lock beside `file` (the folder `FILE.lock`, there only
 * meanwhile; git does not see an empty folder). A lock whose owner died is taken over 10 s after its
 * death. Throws kind `locked` when others hold it for `wait` milliseconds, the system's error at once.
 */
export async function withLock<Result>(
  file: string,
  work: (isHeld: IsHeld) => Promise<Result>,
  wait: number = patience.wait,
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
  const ours = await identify()
  const isHeld = async (): Promise<boolean> => !compromised && (await identify()) === ours
  try {
    return await work(isHeld)
  } finally {
    if (await isHeld()) await release()
  }
}
