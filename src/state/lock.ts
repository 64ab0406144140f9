import { stat } from 'node:fs/promises'
import { lock } from 'proper-lockfile'
import { codeOf, UserError } from '../errors.ts'

/** How long to wait for others, in milliseconds, and how long a silent owner counts as alive. */
const patience = { wait: 30_000, stale: 10_000 }

/** Whether the lock is still ours: a computer that slept may find that others took it over. */
export type IsHeld = () => Promise<boolean>

/**
 * Runs `work` while this process holds the lock beside `file` (the folder `FILE.lock`, there only
 * meanwhile; git does not see an empty folder). A lock whose owner died is taken over 10 s after its
 * death. Throws kind `locked` when others hold it for `wait` milliseconds.
 */
export async function withLock<Result>(
  file: string,
  work: (isHeld: IsHeld) => Promise<Result>,
  wait: number = patience.wait,
): Promise<Result> {
  const folder = `${file}.lock`
  let compromised = false
  const release = await lock(file, {
    realpath: false,
    stale: patience.stale,
    retries: {
      forever: true,
      maxRetryTime: wait,
      minTimeout: 10,
      maxTimeout: 200,
      randomize: true,
    },
    onCompromised: () => {
      compromised = true
    },
  }).catch((error: unknown) => {
    if (codeOf(error) !== 'ELOCKED') throw error
    throw new UserError('locked', `${file} is locked by another fleet (waited ${wait / 1000} s)`, {
      hint: `try again; if no other fleet runs, remove the folder ${folder}`,
      cause: error,
    })
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
