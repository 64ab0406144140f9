import { UserError } from '../errors.ts'

/** The newest API version that fleet supports, introduced in Docker 28.3. It is tried first. */
export const newestVersion = '1.51'
/** The oldest API version that has everything fleet needs (such as `until` for logs), introduced in Docker 17.12. */
const oldestVersion = '1.35'

/** Whether API version `a` is older than `b`. Versions are not decimal numbers: 1.9 is older than 1.10. */
export function isOlder(a: string, b: string): boolean {
  const [major = 0, minor = 0] = a.split('.').map(Number)
  const [otherMajor = 0, otherMinor = 0] = b.split('.').map(Number)
  return major === otherMajor ? minor < otherMinor : major < otherMajor
}

/**
 * Returns the API version to use with an engine whose newest version is `theirs`. Throws kind `unsupported` if that
 * version is too old.
 */
export function commonVersion(theirs: string, machine: string): string {
  if (!isOlder(theirs, newestVersion)) return newestVersion
  if (!isOlder(theirs, oldestVersion)) return theirs
  throw new UserError(
    'unsupported',
    `the engine supports API ${theirs}; fleet requires ${oldestVersion} (Docker 17.12) or later`,
    { machine, hint: 'upgrade Docker on the host' },
  )
}

/**
 * The first Docker release of each API version, oldest first
 * (docs.docker.com/reference/api/engine/#api-version-matrix).
 */
const releases: readonly (readonly [release: string, api: string])[] = [
  ['19.3', '1.40'],
  ['20.10', '1.41'],
  ['23.0', '1.42'],
  ['24.0', '1.43'],
  ['25.0', '1.44'],
  ['26.0', '1.45'],
  ['27.0', '1.46'],
  ['27.2', '1.47'],
  ['28.0', '1.48'],
  ['28.1', '1.49'],
  ['28.2', '1.50'],
  ['28.3', newestVersion],
]

/** Returns the API version to try first, based on the recorded release of the engine. */
export function likelyVersion(release: string | undefined): string {
  if (release === undefined) return newestVersion
  const known = releases.findLast(([first]) => !isOlder(release, first))
  return known?.[1] ?? newestVersion
}
