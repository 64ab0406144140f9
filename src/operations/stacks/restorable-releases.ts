import { UserError } from '../../errors.ts'

/** A release of a stack on a machine or a swarm. */
interface NumberedRelease {
  readonly number: number
  readonly state: 'deploying' | 'ready' | 'failed'
}

/** The releases of a stack, oldest first, and the number of the one that runs. */
interface Releases<Kind extends NumberedRelease> {
  readonly current: number | undefined
  readonly all: readonly Kind[]
}

/** The number of ready releases that are kept, and of others, such as failed ones. */
export const keptReleases = 5

/**
 * Returns the releases that are no longer kept: all but the current release, the newest ready releases, and the newest
 * others that are newer than the oldest of these ready ones. A rollback can restore only ready releases, so others do
 * not displace them.
 */
export function outdatedReleases<Kind extends NumberedRelease>({
  current,
  all,
}: Releases<Kind>): readonly Kind[] {
  const ready = all.filter(({ state }) => state === 'ready').slice(-keptReleases)
  const oldest = ready[0]?.number ?? 0
  const others = all
    .filter(({ number, state }) => state !== 'ready' && number > oldest)
    .slice(-keptReleases)
  const kept = new Set<Kind>([...ready, ...others])
  return all.filter((release) => release.number !== current && !kept.has(release))
}

/**
 * Returns the release that a rollback restores: the release `to`, or the newest one before the current release. It must
 * be ready. Throws kind `usage` if there is no such release.
 */
export function releaseToRestore<Kind extends NumberedRelease>(
  { current, all }: Releases<Kind>,
  to: number | undefined,
  { stack, machine }: { readonly stack: string; readonly machine?: string },
): Kind {
  const ready = all.filter(({ state }) => state === 'ready')
  const chosen =
    to === undefined
      ? ready.findLast(({ number }) => current === undefined || number < current)
      : ready.find(({ number }) => number === to)
  if (chosen !== undefined) return chosen
  const place = machine === undefined ? '' : ` on ${machine}`
  const exists = all.some(({ number }) => number === to)
  const numbers = ready.map(({ number }) => number).join(', ')
  throw new UserError(
    'usage',
    exists
      ? `release ${to} of stack ${stack}${place} cannot be restored, because its deployment did not succeed`
      : `stack ${stack} has no ${to === undefined ? 'earlier release' : `release ${to}`}${place}`,
    {
      machine,
      hint:
        numbers === ''
          ? `to deploy the stack: fleet deploy ${stack}`
          : `releases that can be restored: ${numbers}`,
    },
  )
}
