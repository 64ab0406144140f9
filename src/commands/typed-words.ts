import { UserError } from '../errors.ts'
import { commonNamesOf, verbOf } from './common-options.ts'
import { type Command, type Targets, isGroup } from './definition.ts'
import { commandList } from './index.ts'

/** The common options as they were typed. */
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
  readonly quiet?: boolean
}

/** `--max-fail` of `maxFail`. */
const longFlagOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** Joins what stood before the verb with what stood after it, and refuses what the verb does not take. */
export function joinCommon(
  command: Command,
  before: CommonValues,
  after: CommonValues,
): CommonValues {
  const taken = new Set<string>(commonNamesOf(command))
  const refused = Object.keys(before).find((name) => !taken.has(name))
  if (refused !== undefined) {
    throw new UserError('usage', `fleet ${command.name} does not take ${longFlagOf(refused)}`, {
      hint: `fleet ${command.name} --help`,
    })
  }
  return { ...before, ...after, on: [...(before.on ?? []), ...(after.on ?? [])] }
}

/** Which machines the options name. Throws kind `usage` where one contradicts another. */
export function targetsOf({
  machine,
  on = [],
  all,
  retryFailed = false,
  ...how
}: CommonValues): Targets {
  const selectors = all === true ? [...on, 'all'] : on
  if (machine !== undefined && (selectors.length > 0 || retryFailed)) {
    throw new UserError(
      'usage',
      '--machine names one machine, --on, --all and --retry-failed name many: use one',
    )
  }
  const timeoutMs = how.timeout === undefined ? undefined : how.timeout * 1000
  const { parallel, maxFail } = how
  return { machine, on: selectors, parallel, retryFailed, timeoutMs, maxFail }
}

/**
 * Takes `--on` and `--machine` off the front of words meant for docker, which has no flags
 * of these names: people write them after the verb by habit.
 */
export function takeLeadingTargets(words: readonly unknown[]): {
  after: CommonValues
  words: readonly unknown[]
} {
  const rest = [...(words[0] as string[])]
  const after: { on: string[]; machine?: string } = { on: [] }
  for (;;) {
    const [, name, joined] = /^--(on|machine)(?:=(.*))?$/s.exec(rest[0] ?? '') ?? []
    if (name === undefined) return { after, words: [rest] }
    const value = joined ?? rest[1]
    if (value === undefined) throw new UserError('usage', `--${name} wants a value`)
    rest.splice(0, joined === undefined ? 2 : 1)
    if (name === 'on') after.on.push(value)
    else after.machine = value
  }
}

/**
 * The words of a command's arguments, the last of which is `rest`. Throws kind `usage` for words before `--` that
 * would join it, or that name a machine where an option does.
 */
export function withRest(
  words: readonly unknown[],
  rest: readonly string[],
  { machine, on, retryFailed }: Targets,
): readonly unknown[] {
  const named = words.slice(0, -1)
  const isChosen = machine !== undefined || on.length > 0 || retryFailed
  const extra = [...(isChosen ? named : []), ...((words.at(-1) ?? []) as readonly string[])]
  const stray = extra.find((word) => word !== undefined)
  if (stray !== undefined) {
    throw new UserError('usage', `${JSON.stringify(stray)} stands before --`, {
      hint: 'one name stands there, or an option that says which machines; the command stands behind',
    })
  }
  return [...named, [...rest]]
}

/** A command line, parted at its `--`. */
export interface TypedWords {
  readonly argv: readonly string[]
  /** What stood behind `--`, for commands that tell it apart; absent where there is no `--`. */
  readonly rest: readonly string[] | undefined
}

/** Takes off what stands behind `--`, where the command tells it apart from its other words. */
export function splitRest(argv: readonly string[]): TypedWords {
  const verb = verbOf(argv)
  const dashes = argv.indexOf('--')
  const command = commandList
    .flatMap(({ entries }) => entries)
    .find((entry) => entry.name === verb && !isGroup(entry) && entry.takesRest === true)
  if (command === undefined || dashes === -1) return { argv, rest: undefined }
  return { argv: argv.slice(0, dashes), rest: argv.slice(dashes + 1) }
}
