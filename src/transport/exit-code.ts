import { constants } from 'node:os'
import type { ExitStatus } from './transport.ts'

/** The exit code as a shell reports it: for a signal, 128 plus its number (POSIX 2.8.2). */
export function exitCodeOf(status: ExitStatus): number {
  if ('code' in status) return status.code
  const number = constants.signals[`SIG${status.signal}` as NodeJS.Signals]
  return 128 + (number ?? 0)
}
