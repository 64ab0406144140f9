import { UserError, messageOf } from '../../errors.ts'
import type { Stack } from '../../machine/stacks.ts'
import { ignored } from '../../os/trace.ts'
import { type LockOwner, lockStack } from './host-store/lock.ts'
import { finishRelease, readReleaseContent, readReleases } from './host-store/releases.ts'
import { releaseToRestore } from './restorable-releases.ts'
import {
  type DeployCalls,
  type DeployTarget,
  describeFailed,
  putBack,
  restoreRelease,
} from './run-release.ts'

/** The release that a rollback restores. */
export interface Rollback {
  readonly stack: Pick<Stack, 'name' | 'wait'>
  /**
   * The number of the release. If absent, the last release before the current one that was deployed without an error.
   */
  readonly to?: number | undefined
  readonly owner: LockOwner
}

/** The result of a rollback on one machine. */
export interface RolledBack {
  readonly machine: string
  readonly stack: string
  readonly from: number | undefined
  readonly release: number
}

/**
 * Restores an earlier release of a stack on one machine, from the data on its host. If that fails, the current release
 * is restored. Throws kind `usage` if there is no such release, and otherwise throws as a deployment does.
 */
export async function rollbackMachine(
  target: DeployTarget,
  rollback: Rollback,
  { progress, signal }: DeployCalls,
): Promise<RolledBack> {
  const { machine, mirror, engine } = target
  const { host, folder } = mirror
  const { stack, owner } = rollback
  progress('lock the stack')
  await using lock = await lockStack(host, { stack: stack.name, folder, owner, signal })
  const stop = lock.signal
  const releases = await readReleases(host, folder)
  const release = releaseToRestore(releases, rollback.to, { stack: stack.name, machine })
  progress(
    `restore release ${release.number}`,
    `wait up to ${stack.wait} s for the services to become healthy`,
  )
  const attempt = restoreRelease(target, stack, release, stop)
  const why = await attempt.catch((error: unknown) => messageOf(error))
  if (why === undefined) {
    await finishRelease(host, folder, release)
    const { name } = stack
    return { machine, stack: name, from: releases.current, release: release.number }
  }
  const details = await (async () => {
    const { model } = await readReleaseContent(host, folder, release)
    return describeFailed(engine, model, stop)
  })().catch(ignored('docker', 'describe failed containers', []))
  const outcome = await putBack(target, stack, releases, progress)
  throw new UserError(
    'failed',
    [
      `release ${release.number} of stack ${stack.name} was not restored: ${why}`,
      ...details,
      outcome,
    ].join('\n'),
    { machine, hint: `to see the logs: fleet stack logs ${stack.name}` },
  )
}
