import { codeOf, messageOf } from '../errors.ts'
import { trace } from './trace.ts'

/**
 * Sends a signal to all processes of the group that `pid` leads; on Windows, to that process only. A group that no
 * longer exists is not an error.
 */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal)
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') trace('ssh', `send ${signal} to ${pid}: ${messageOf(error)}`)
  }
}
