import { codeOf, messageOf } from '../errors.ts'
import { trace } from './trace.ts'

/** Signals all processes of a group, by the process that leads it. A group that is gone is no error. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal)
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') trace('ssh', `send ${signal} to ${pid}: ${messageOf(error)}`)
  }
}
