import { UserError } from '../../errors.ts'
import { commonNamesOf, findFlag, operandsIn, verbOf } from './common-options.ts'
import { isMachineName } from '../../machine/name.ts'
import { type Command, type Targets, isGroup } from '../command.ts'
import { commandList } from '../index.ts'

/** The values of the common options, as typed. */
export interface CommonValues {
  readonly inventory?: string
  readonly machine?: string
  readonly on?: readonly string[]
  readonly all?: boolean
  readonly parallel?: number
  readonly timeout?: number
  readonly maxFail?: number
  readonly retryFailed?: boolean
  readonly fold?: boolean
  readonly json?: boolean
  readonly format?: string
  readonly quiet?: boolean
}

/** Returns the long form of an option: `--max-fail` for `maxFail`. */
const longFlagOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** A command, and its full name as users type it, preceded by the name of its group. */
type Typed = Command & { readonly path: string }

/** Merges the common options before and after the verb, and refuses options that the verb does not accept. */
export function joinCommon(
  command: Typed,
  before: CommonValues,
  after: CommonValues,
): CommonValues {
  const taken = new Set<string>(commonNamesOf(command))
  const refused = Object.keys(before).find((name) => !taken.has(name))
  if (refused !== undefined) {
    throw new UserError('usage', `fleet ${command.path} does not accept ${longFlagOf(refused)}`, {
      hint: `to list the options: fleet ${command.path} --help`,
    })
  }
  return { ...before, ...after, on: [...(before.on ?? []), ...(after.on ?? [])] }
}

/**
 * Returns which machines the options select, and how to work on them. Throws kind `usage` for contradictory options.
 */
export function targetsOf({
  machine,
  on = [],
  all,
  retryFailed = false,
  ...how
}: CommonValues): Omit<Targets, 'names'> {
  const selectors = all === true ? [...on, 'all'] : on
  if (machine !== undefined && (selectors.length > 0 || retryFailed)) {
    throw new UserError(
      'usage',
      '--machine selects one machine, so it cannot be used with --on, --all or --retry-failed',
    )
  }
  const timeoutMs = how.timeout === undefined ? undefined : how.timeout * 1000
  const { parallel, maxFail } = how
  return { machine, on: selectors, parallel, retryFailed, timeoutMs, maxFail }
}

/**
 * Takes `--on` and `--machine` from the beginning of docker's arguments; a `--find` between them stays at the
 * beginning. docker has no such options, and users often write them after the command.
 */
export function takeLeadingTargets(words: readonly unknown[]): {
  after: CommonValues
  words: readonly unknown[]
} {
  const rest = [...(words[0] as string[])]
  const after: { on: string[]; machine?: string } = { on: [] }
  const first: string[] = []
  for (;;) {
    if (rest[0] === findFlag && first.length === 0) {
      first.push(findFlag)
      rest.shift()
      continue
    }
    const [, name, joined] = /^--(on|machine)(?:=(.*))?$/s.exec(rest[0] ?? '') ?? []
    if (name === undefined) return { after, words: [[...first, ...rest]] }
    const value = joined ?? rest[1]
    if (value === undefined) throw new UserError('usage', `--${name} requires a value`)
    rest.splice(0, joined === undefined ? 2 : 1)
    if (name === 'on') after.on.push(value)
    else after.machine = value
  }
}

const choosesMachines = ({ machine, on, retryFailed }: Omit<Targets, 'names'>): boolean =>
  machine !== undefined || on.length > 0 || retryFailed

/**
 * Splits words into machine names and other arguments. If options select the machines, there are no names. Throws kind
 * `usage` if both names and such options are given, or if neither is given although the command requires machines.
 */
export function withNames(
  { path, arguments: definitions = {} }: Typed,
  words: readonly unknown[],
  targets: Omit<Targets, 'names'>,
): { readonly words: readonly unknown[]; readonly names: readonly string[] } {
  const [first, ...others] = Object.values(definitions)
  if (first?.machines === undefined) return { words, names: [] }
  const [word, ...rest] = words
  const names = (word === undefined ? [] : [word].flat()) as unknown[] as string[]
  if (!choosesMachines(targets)) {
    if (names.length > 0 || first.machines === 'optional') return { words, names }
    throw new UserError('usage', 'no machine was specified', {
      hint: `to choose machines: fleet ${path} NAME, or fleet ${path} --on SELECTOR`,
    })
  }
  const [name] = names
  if (name === undefined) return { words, names }
  if (others.length === 0 || isMachineName(name)) {
    throw new UserError(
      'usage',
      `machines can be selected by name (${JSON.stringify(name)}) or by an option, not both`,
      { hint: `to list the options: fleet ${path} --help` },
    )
  }
  return { words: [undefined, [name, ...rest.flat()]], names: [] }
}

/** The command line of a program to run. It follows fleet's own options. */
export interface Rest {
  readonly words: readonly string[]
  /** Whether `--` precedes it. */
  readonly isMarked: boolean
}

/**
 * Returns the arguments of a command whose last argument is `rest`. Throws kind `usage` for a word before `--` if an
 * option selects the machines, and for an option after the machine's name, which would otherwise be run as a program.
 */
export function withRest(
  words: readonly unknown[],
  { words: rest, isMarked }: Rest,
  targets: Omit<Targets, 'names'>,
): readonly unknown[] {
  const named = words.slice(0, -1)
  const isChosen = choosesMachines(targets)
  const stray = isChosen && isMarked ? named.find((word) => word !== undefined) : undefined
  if (stray !== undefined) {
    throw new UserError('usage', `unexpected ${JSON.stringify(stray)} before --`, {
      hint: 'the machines are already selected by an option: put the command after --',
    })
  }
  const [first = ''] = rest
  if (!isMarked && !isChosen && first.startsWith('-')) {
    throw new UserError(
      'usage',
      `option ${JSON.stringify(first)} must come before the machine name`,
      {
        hint: 'put fleet options before the machine name, and -- before a command that begins with -',
      },
    )
  }
  return [...named, [...rest]]
}

/** A command line, split into fleet's own words (`argv`) and the command line of a program to run. */
export interface TypedWords {
  readonly argv: readonly string[]
  /** The command line of the program to run, for commands that run one. */
  readonly rest: Rest | undefined
}

/**
 * Splits off the command line that `fleet ssh` runs: the words after the first operand, or after `--`. They are never
 * parsed as options of fleet.
 */
export function splitRest(argv: readonly string[]): TypedWords {
  const verb = verbOf(argv)
  const command = commandList
    .flatMap(({ entries }) => entries)
    .find(
      (entry): entry is Command =>
        entry.name === verb && !isGroup(entry) && entry.takesRest === true,
    )
  if (command === undefined) return { argv, rest: undefined }
  const first = operandsIn(argv, Object.values(command.options ?? {}))[1] ?? -1
  const dashes = argv.indexOf('--')
  if (dashes !== -1 && (first === -1 || dashes <= first + 1)) {
    return { argv: argv.slice(0, dashes), rest: { words: argv.slice(dashes + 1), isMarked: true } }
  }
  if (first === -1 || first === argv.length - 1) return { argv, rest: undefined }
  return { argv: argv.slice(0, first + 1), rest: { words: argv.slice(first + 1), isMarked: false } }
}
