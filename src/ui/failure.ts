import { UserError, exitCodes } from '../errors.ts'
import { colorsOf } from './color.ts'
import { foldNames } from './fold-names.ts'
import type { Io } from './io.ts'

/** Where fleet is wrong, with the stack; nothing where `thrown` is a failure that a person can act on. */
function bugIn(thrown: unknown): string | undefined {
  if (thrown instanceof UserError && thrown.kind !== 'bug') return undefined
  const bug = thrown instanceof UserError ? (thrown.cause ?? thrown) : thrown
  return bug instanceof Error ? (bug.stack ?? bug.message) : String(bug)
}

/** The exit code that tells of `thrown`; `failureCode` stands in where a command has its own. */
export function failureCodeOf(thrown: unknown, failureCode?: number): number {
  if (!(thrown instanceof UserError) || thrown.kind === 'bug') return exitCodes.bug
  if (thrown.kind === 'cancelled') return exitCodes.cancelled
  return failureCode ?? exitCodes[thrown.kind] ?? exitCodes.failed // a driver from outside may know others
}

/** The JSON form of a failure. */
function failureJson(thrown: unknown): object {
  const bug = bugIn(thrown)
  const { kind, message, machine, hint } =
    thrown instanceof UserError ? thrown : { kind: 'bug', message: bug }
  return { error: { kind, message: bug ?? message, machine, hint } }
}

/** One line on what went wrong, and one on what to do. */
function failureText(thrown: unknown): string {
  const bug = bugIn(thrown)
  if (bug !== undefined) {
    return `this is a bug in fleet; please report it with the lines below\n${bug}`
  }
  const { message, machine, hint } = thrown as UserError
  const isNamed = machine === undefined || message.startsWith(`${machine}:`)
  return `${isNamed ? '' : `${machine}: `}${message}${hint === undefined ? '' : `\n  ${hint}`}`
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
  for (const [reason, names] of byReason) {
    io.stderr.write(`  ${foldNames(names)}: ${reason.replaceAll('\n  ', '\n    ')}\n`)
  }
}

interface Named {
  readonly name: string
}

/** What came of work on several machines, as far as it can fail. */
interface Gathered {
  readonly outcomes: readonly ({ readonly machine: Named } & (
    | { readonly error: UserError }
    | object
  ))[]
  readonly rest: readonly Named[]
  readonly cancelled: boolean
}

/** Tells which machines failed, and on which the work was not finished since it was stopped. Gives the exit code. */
export function writeGathered(
  io: Io,
  { outcomes, rest, cancelled }: Gathered,
  { json }: { readonly json: boolean },
): number {
  const failures = outcomes.flatMap((outcome) =>
    'error' in outcome ? [{ machine: outcome.machine, error: outcome.error }] : [],
  )
  writeFailures(io, failures, { of: outcomes.length + rest.length, json })
  if (rest.length > 0) {
    const count = failures.length === 1 ? '1 failure' : `${failures.length} failures`
    const why = cancelled ? 'cancelled' : `stopped after ${count}`
    const names = foldNames(rest.map(({ name }) => name))
    const kind = cancelled ? 'cancelled' : 'failed'
    writeFailure(io, new UserError(kind, `${why}: not finished on ${names}`), json)
  }
  if (cancelled) return exitCodes.cancelled
  return failures.length === 0 ? exitCodes.ok : exitCodes.failed
}
