import { UserError } from '../errors.ts'

/** The newest API that fleet knows: that of Docker 28.3. An engine is asked in it until it objects. */
export const newestVersion = '1.51'
/** The oldest API that has all that fleet asks for (`until` of logs): that of Docker 17.12. */
const oldestVersion = '1.35'

/** Whether API version `a` is older than `b`. Versions count up: 1.9 is older than 1.10. */
export function isOlder(a: string, b: string): boolean {
  const [major = 0, minor = 0] = a.split('.').map(Number)
  const [otherMajor = 0, otherMinor = 0] = b.split('.').map(Number)
  return major === otherMajor ? minor < otherMinor : major < otherMajor
}

/** The version to speak with an engine whose newest is `theirs`. Throws kind `unsupported` when it is too old. */
export function commonVersion(theirs: string, machine: string): string {
  if (!isOlder(theirs, newestVersion)) return newestVersion
  if (!isOlder(theirs, oldestVersion)) return theirs
  throw new UserError(
    'unsupported',
    `the engine speaks API ${theirs}; fleet needs ${oldestVersion} (Docker 17.12) or later`,
    { machine, hint: 'upgrade Docker on the host' },
  )
}
