import { UserError, exitCodes } from '../errors.ts'
import { colorsOf } from './color.ts'
import { allMachines, foldNames, namesAmong } from './fold-names.ts'
import { shorten } from './human-units.ts'
import type { Io } from './io.ts'
import { compose } from './styled.ts'

/** Returns the stack trace of a bug in fleet; undefined if `thrown` is a failure that the user can act on. */
function bugIn(thrown: unknown): string | undefined {
  if (thrown instanceof UserError && thrown.kind !== 'bug') return undefined
  const bug = thrown instanceof UserError ? (thrown.cause ?? thrown) : thrown
  return bug instanceof Error ? (bug.stack ?? bug.message) : String(bug)
}

/**
 * Returns the exit code for `thrown`. `failureCode`: the exit code for ordinary failures, if the command has its own.
 */
export function failureCodeOf(thrown: unknown, failureCode?: number): number {
  if (!(thrown instanceof UserError) || thrown.kind === 'bug') return exitCodes.bug
  if (thrown.kind === 'cancelled') return exitCodes.cancelled
  return failureCode ?? exitCodes[thrown.kind] ?? exitCodes.failed // an external driver may throw other kinds
}

/** Returns the JSON form of a failure. */
function failureJson(thrown: unknown): object {
  const bug = bugIn(thrown)
  const { kind, message, machine, hint } =
    thrown instanceof UserError ? thrown : { kind: 'bug', message: bug }
  return { error: { kind, message: bug ?? message, machine, hint } }
}

/**
 * The maximum length of a reason, in characters. A limit is needed because the output of hosts and programs can be
 * long.
 */
const longestReason = 4000

/** Indents every line but the first, so that quoted output does not look like another message. */
const indented = (text: string): string => text.trimEnd().replaceAll(/\r?\n/g, '\n  ')

/** Joins a message and its hint, which follows on separate lines. */
const reasonText = ({ message, hint }: Pick<UserError, 'message' | 'hint'>): string =>
  indented(shorten(message, longestReason)) + (hint === undefined ? '' : `\n  ${indented(hint)}`)

/** Returns the message of a failure, preceded by the name of its machine and followed by the hint. */
function failureText(thrown: unknown): string {
  const bug = bugIn(thrown)
  if (bug !== undefined) {
    return `this is a bug in fleet; please report it, and include the lines below\n${bug}`
  }
  const { message, machine, hint } = thrown as UserError
  const isNamed = machine === undefined || message.startsWith(`${machine}:`)
  return `${isNamed ? '' : `${machine}: `}${reasonText({ message, hint })}`
}

/** Writes a failure to stderr. */
export function writeFailure(io: Io, thrown: unknown, json: boolean): void {
  if (json) io.stderr.write(`${JSON.stringify(failureJson(thrown))}\n`)
  else io.stderr.write(compose`${colorsOf(io, 'stderr').red('fleet:')} ${failureText(thrown)}\n`)
}

/** A machine that failed. */
interface Failed {
  readonly name: string
  readonly host?: { readonly address?: string | undefined } | undefined
}

interface Failure {
  readonly machine: Failed
  readonly error: unknown
}

/**
 * A placeholder for the machine's name in a reason that several machines share. It is a character that no message
 * contains.
 */
const anyName = '\uFFFF'

/** Returns a pattern that matches exactly this text. */
const quoted = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

/** Replaces the machine's name and address in a text with {@link anyName}. */
function generalize(text: string, { name, host }: Failed): string {
  const address = host?.address === undefined ? [] : [`\\[?${quoted(host.address)}\\]?(?::\\d+)?`]
  const [at = '(?!)'] = address
  const edge = '(?<![\\w.-])'
  return text
    .replaceAll(new RegExp(`${edge}${quoted(name)} (?:at ${at}|\\(${at}\\))`, 'g'), anyName)
    .replaceAll(new RegExp(`${edge}(?:${quoted(name)}|${at})(?![\\w-])`, 'g'), anyName)
}

/** The machine's name at the start of a reason. */
const atStart = new RegExp(`^${anyName}: `)

/** The maximum number of machines that a hint names. */
const namedInHint = 5

/** Commands in hints that accept several machine names, separated by spaces. */
const takesNames = new RegExp(
  `(fleet (?:create|provision|status|start|stop|restart|kill|rm|forget)) ${anyName}(?! --)`,
  'g',
)

/** The option that accepts several machine names, separated by commas. */
const takesSelector = new RegExp(`--on ${anyName}`, 'g')

/** Returns the reason that several machines share: one line, and one hint for all of them. */
function sharedReason(error: UserError, first: Failed, names: readonly string[]): string {
  const message = generalize(error.message, first)
    .replace(atStart, '')
    .replaceAll(`${anyName}:/`, ':/') // a path, as in fleet cp with --on
    .replaceAll(anyName, 'the host')
  const general = error.hint && generalize(error.hint, first)
  const named = names.length <= namedInHint ? names : ['NAME']
  const hint = general
    ?.replaceAll(takesNames, `$1 ${named.join(' ')}`)
    .replaceAll(takesSelector, `--on ${named.join(',')}`)
    .replaceAll(anyName, 'NAME')
  return reasonText({ message, hint })
}

/** Groups failures that have the same cause. The groups are in the order of their first failures. */
function byCause(failures: readonly Failure[]): Failure[][] {
  const groups = new Map<string, Failure[]>()
  for (const failure of failures) {
    const { machine, error } = failure
    const cause = bugIn(error) ?? generalize(failureText(error), machine).replace(atStart, '')
    const group = groups.get(cause) ?? []
    groups.set(cause, group)
    group.push(failure)
  }
  return [...groups.values()]
}

/**
 * Replaces the machine's name in the first line of a reason, because the reason is printed after the name. The hint
 * keeps the name, because its commands need it.
 */
function withoutName(text: string, name: string): string {
  const [reason = '', ...hint] = text.split('\n')
  const repeated = new RegExp(`(?<![\\w./-])${quoted(name)}(?![\\w-]|[.:]\\w|:?/)`, 'g')
  return [reason.replaceAll(repeated, 'the host'), ...hint].join('\n')
}

/** Formats a cause with the machines that it applies to. */
function causeText(group: readonly Failure[], { of }: { of: number }): string {
  const names = group.map(({ machine }) => machine.name)
  const [{ machine, error } = { machine: { name: '' }, error: undefined }] = group
  const isShared = group.length > 1 && bugIn(error) === undefined
  if (!isShared) {
    return `${foldNames(names)}: ${withoutName(failureText(error).replace(`${machine.name}: `, ''), machine.name)}`
  }
  const [reason = '', ...more] = sharedReason(error as UserError, machine, names).split('\n')
  const isAll = names.length === of
  const who = isAll ? allMachines(of) : `${names.length} machines`
  return [`${who}: ${reason}${isAll ? '' : `: ${foldNames(names)}`}`, ...more].join('\n')
}

/** Writes which machines failed, and why. Machines with the same cause share a line. */
export function writeFailures(
  io: Io,
  failures: readonly Failure[],
  { of, json }: { of: number; json: boolean },
): void {
  if (failures.length === 0) return
  if (json) {
    for (const { machine, error } of failures) {
      io.stderr.write(`${JSON.stringify({ machine: machine.name, ...failureJson(error) })}\n`)
    }
    return
  }
  const { red } = colorsOf(io, 'stderr')
  io.stderr.write(compose`${red('fleet:')} ${failures.length} of ${of} machines failed\n`)
  for (const group of byCause(failures)) {
    io.stderr.write(`  ${causeText(group, { of }).replaceAll('\n  ', '\n    ')}\n`)
  }
}

interface Named {
  readonly name: string
}

/** The outcomes of work on several machines. */
interface Results {
  readonly outcomes: readonly ({ readonly machine: Failed } & (
    | { readonly error: UserError }
    | object
  ))[]
  readonly rest: readonly Named[]
  readonly cancelled: boolean
}

/** Writes which machines failed, and on which machines the work was not finished. Returns the exit code. */
export function writeResults(
  io: Io,
  { outcomes, rest, cancelled }: Results,
  { json }: { readonly json: boolean },
): number {
  const failures = outcomes.flatMap((outcome) =>
    'error' in outcome ? [{ machine: outcome.machine, error: outcome.error }] : [],
  )
  writeFailures(io, failures, { of: outcomes.length + rest.length, json })
  if (rest.length > 0) {
    const count = failures.length === 1 ? '1 failure' : `${failures.length} failures`
    const why = cancelled ? 'cancelled' : `stopped after ${count}`
    const names = namesAmong(
      rest.map(({ name }) => name),
      outcomes.length + rest.length,
    )
    const kind = cancelled ? 'cancelled' : 'failed'
    writeFailure(io, new UserError(kind, `${why}: not finished on ${names}`), json)
  }
  if (cancelled) return exitCodes.cancelled
  return failures.length === 0 ? exitCodes.ok : exitCodes.failed
}
