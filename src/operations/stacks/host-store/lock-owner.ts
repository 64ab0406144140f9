import { hostname, userInfo } from 'node:os'
import { traceError } from '../../../os/trace.ts'
import type { LockOwner } from './lock.ts'

function userName(): string {
  try {
    return userInfo().username
  } catch (error) {
    traceError('docker', 'get the user name', error)
    return 'user' // the user has no name, as in some containers
  }
}

/** Returns this user and computer as the owner of locks and releases. `why` is the user's action: `deploy shop`. */
export const currentOwner = (why: string): LockOwner => ({
  by: `${userName()}@${hostname()}`,
  at: new Date().toISOString(),
  why,
})
