import { UserError, exitCodes } from '../errors.ts'
import { colorsOf } from './color.ts'
import { foldNames } from './fold-names.ts'
import { shorten } from './human.ts'
import type { Io } from './io.ts'
import { compose } from './styled.ts'

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

/** How much of what went wrong is told to a person: some hosts and programs say much. */
const longestReason = 4000

/** Every line but the first is indented, so that none of somebody else's words looks like a message of its own. */
const indented = (text: string): string => text.trimEnd().replaceAll(/\r?\n/g, '\n  ')

/** What went wrong, and on further lines what to do. */
const reasonText = ({ message, hint }: Pick<UserError, 'message' | 'hint'>): string =>
  indented(shorten(message, longestReason)) + (hint === undefined ? '' : `\n  ${indented(hint)}`)

/** What went wrong with which machine, and what to do. */
function failureText(thrown: unknown): string {
  const bug = bugIn(thrown)
  if (bug !== undefined) {
    return `this is a bug in fleet; please report it with the lines below\n${bug}`
  }
  const { message, machine, hint } = thrown as UserError
  const isNamed = machine === undefined || message.startsWith(`${machine}:`)
  return `${isNamed ? '' : `${machine}: `}${reasonText({ message, hint })}`
}

/** Tells the person of a failure on stderr. */
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

/** What stands for the machine's name in a reason that several share. Nothing that is told contains it. */
const anyName = '\uFFFF'

/** A pattern that matches the text and nothing else. */
const quoted = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

/** The text as it would be said of any machine. */
function generalize(text: string, { name, host }: Failed): string {
  const address = host?.address === undefined ? [] : [`\\[?${quoted(host.address)}\\]?(?::\\d+)?`]
  const [at = '(?!)'] = address
  const edge = '(?<![\\w.-])'
  return text
    .replaceAll(new RegExp(`${edge}${quoted(name)} (?:at ${at}|\\(${at}\\))`, 'g'), anyName)
    .replaceAll(new RegExp(`${edge}(?:${quoted(name)}|${at})(?![\\w-])`, 'g'), anyName)
}

/** The name that stands before a reason. */
const atStart = new RegExp(`^${anyName}: `)

/** How many machines a hint names at most. */
const namedInHint = 5

/** The commands in hints that take several machines by name. */
const takesSeveral = new RegExp(`(fleet (?:status|start|rm|forget)) ${anyName}`, 'g')

/** What several machines failed of alike: one line, and one hint for all. */
function sharedReason(error: UserError, first: Failed, names: readonly string[]): string {
  const message = generalize(error.message, first)
    .replace(atStart, '')
    .replaceAll(anyName, 'the host')
  const general = error.hint && generalize(error.hint, first)
  const hint = general
    ?.replaceAll(takesSeveral, names.length <= namedInHint ? `$1 ${names.join(' ')}` : '$1 NAME')
    .replaceAll(anyName, 'NAME')
  return reasonText({ message, hint })
}

/** The failures that have the same cause together, in the order of the first of each. */
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

/** One cause, and the machines of which it is true. */
function causeText(group: readonly Failure[], { of }: { of: number }): string {
  const names = group.map(({ machine }) => machine.name)
  const [{ machine, error } = { machine: { name: '' }, error: undefined }] = group
  const isShared = group.length > 1 && bugIn(error) === undefined
  if (!isShared) {
    return `${foldNames(names)}: ${failureText(error).replace(`${machine.name}: `, '')}`
  }
  const [reason = '', ...more] = sharedReason(error as UserError, machine, names).split('\n')
  const isAll = names.length === of
  const who = isAll ? `all ${of} machines` : `${names.length} machines`
  return [`${who}: ${reason}${isAll ? '' : `: ${foldNames(names)}`}`, ...more].join('\n')
}

/** Tells which of many machines failed, and why; machines that failed of the same cause share a line. */
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

/** What came of work on several machines, as far as it can fail. */
interface Results {
  readonly outcomes: readonly ({ readonly machine: Failed } & (
    | { readonly error: UserError }
    | object
  ))[]
  readonly rest: readonly Named[]
  readonly cancelled: boolean
}

/** Tells which machines failed, and on which the work was not finished since it was stopped. Gives the exit code. */
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
    const names = foldNames(rest.map(({ name }) => name))
    const kind = cancelled ? 'cancelled' : 'failed'
    writeFailure(io, new UserError(kind, `${why}: not finished on ${names}`), json)
  }
  if (cancelled) return exitCodes.cancelled
  return failures.length === 0 ? exitCodes.ok : exitCodes.failed
}
