import { UserError, exitCodes } from '../errors.ts'
import { colorsOf } from './color.ts'
import type { Io } from './io.ts'

/** The exit code that tells of `thrown`; `failureCode` stands in where a command has its own. */
export function failureCodeOf(thrown: unknown, failureCode?: number): number {
  if (!(thrown instanceof UserError)) return exitCodes.bug
  if (thrown.kind === 'cancelled') return exitCodes.cancelled
  return failureCode ?? exitCodes[thrown.kind] ?? exitCodes.failed // a driver from outside may know others
}

/** The JSON form of a failure. */
const failureJson = (thrown: unknown): object =>
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
function failureText(thrown: unknown): string {
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

/** Tells which of many machines failed, and why; machines with the same reason share a line. */
export function writeFailures(
  io: Io,
  failures: readonly { readonly machine: { readonly name: string }; readonly error: unknown }[],
  { of, json }: { of: number; json: boolean },
): void {
  if (failures.length === 0) return
  if (json) {
    for (const { machine, error } of failures) {
      io.stderr.write(`${JSON.stringify({ machine: machine.name, ...failureJson(error) })}\n`)
    }
    return
  }
  const byReason = new Map<string, string[]>()
  for (const { machine, error } of failures) {
    const reason = failureText(error).replace(`${machine.name}: `, '')
    byReason.set(reason, [...(byReason.get(reason) ?? []), machine.name])
  }
  const { red } = colorsOf(io, 'stderr')
  io.stderr.write(`${red('fleet:')} ${failures.length} of ${of} machines failed\n`)
  for (const [reason, names] of byReason) io.stderr.write(`  ${names.join(', ')}: ${reason}\n`)
}
