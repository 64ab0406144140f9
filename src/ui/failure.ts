import { UserError, exitCodes } from '../errors.ts'
import { colorsOf } from './color.ts'
import type { Io } from './io.ts'

/** The exit code that tells of `thrown`; `failureCode` stands in where a command has its own. */
export function failureCodeOf(thrown: unknown, failureCode?: number): number {
  if (!(thrown instanceof UserError)) return exitCodes.bug
  if (thrown.kind === 'cancelled') return exitCodes.cancelled
  return failureCode ?? exitCodes[thrown.kind]
}

/** The JSON form of a failure. */
export const failureJson = (thrown: unknown): object =>
  thrown instanceof UserError
    ? {
        error: {
          kind: thrown.kind,
          message: thrown.message,
          machine: thrown.machine,
          hint: thrown.hint,
        },
      }
    : { error: { kind: 'bug', message: thrown instanceof Error ? thrown.stack : String(thrown) } }

/** One line on what went wrong, and one on what to do. */
export function failureText(thrown: unknown): string {
  if (!(thrown instanceof UserError)) {
    const what = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    return `this is a bug in fleet; please report it with the lines below\n${what}`
  }
  const hint = thrown.hint === undefined ? '' : `\n  ${thrown.hint}`
  const named = thrown.machine === undefined || thrown.message.startsWith(`${thrown.machine}:`)
  return `${named ? '' : `${thrown.machine}: `}${thrown.message}${hint}`
}

/** Tells the person of a failure on stderr. */
export function writeFailure(io: Io, thrown: unknown, json: boolean): void {
  if (json) io.stderr.write(`${JSON.stringify(failureJson(thrown))}\n`)
  else io.stderr.write(`${colorsOf(io, 'stderr').red('fleet:')} ${failureText(thrown)}\n`)
}
