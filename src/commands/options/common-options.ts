import { type Command, type Option, flag, parsed, text, texts } from '../command.ts'
import { parseCount, parseSeconds } from './numbers.ts'

/** Options with the same meaning for all commands that have them, by the property they set. */
export const commonOptions = {
  inventory: text(
    '--inventory <file>',
    'inventory file (default: $FLEET_INVENTORY, or the nearest machines.yaml)',
    'file',
  ),
  machine: text('-m, --machine <name>', 'machine to use', 'machine'),
  on: texts(
    '--on <selector>',
    'machines to use: web-*, !web-1, role=web, state=stopped, all (repeatable)',
    'selector',
  ),
  all: flag('--all', 'use all machines (same as --on all)'),
  parallel: parsed(
    '--parallel <count>',
    'number of machines to work on at the same time (default: 32; ls and status: 128; commands that change machines, such as create and start: 8)',
    (count) => parseCount(count, 1),
  ),
  timeout: parsed('--timeout <seconds>', 'time limit for each machine', parseSeconds),
  maxFail: parsed(
    '--max-fail <count>',
    'skip the remaining machines after this many failures (default: no limit)',
    (count) => parseCount(count, 1),
  ),
  retryFailed: flag('--retry-failed', 'use only the machines on which the previous command failed'),
  fold: flag('--fold', 'print identical output from several machines only once'),
  json: flag('--json', 'print JSON'),
  format: text(
    '--format <template>',
    'print each result with a Go template, such as "{{.name}}", instead of a table',
  ),
  quiet: flag('-q, --quiet', 'print only names (for containers: only IDs)'),
} as const

/** The option of `fleet exec` that searches machines for the container. It comes before docker's arguments. */
export const findFlag = '--find'

/** Returns the inventory file that an unparsed command line specifies. */
export function inventoryIn(words: readonly string[]): string | undefined {
  const index = words.lastIndexOf('--inventory')
  const joined = words.findLast((word) => word.startsWith('--inventory='))
  return index >= 0 ? words[index + 1] : joined?.slice('--inventory='.length)
}

/** Returns the driver that an unparsed command line specifies. */
export function driverIn(argv: readonly string[]): string | undefined {
  const index = argv.findIndex((word) => word === '--driver' || word === '-d')
  const joined = argv.find((word) => word.startsWith('--driver='))
  return index >= 0 ? argv[index + 1] : joined?.slice('--driver='.length)
}

/** The name of a common option. */
export type CommonOption = keyof typeof commonOptions

const takesParallel = (command: Command): boolean =>
  command.worksOnSeveral === true || (command.targets === 'many' && command.allAtOnce !== true)

/** Returns the names of the common options that a command has. */
export function commonNamesOf(command: Command): CommonOption[] {
  return [
    'inventory',
    ...(command.targets === undefined ? [] : (['machine'] as const)),
    ...(command.targets === 'many' ? (['on', 'all'] as const) : []),
    ...(takesParallel(command) ? (['parallel'] as const) : []),
    ...(command.gathers === true ? (['timeout', 'maxFail', 'retryFailed', 'fold'] as const) : []),
    ...(command.answers === undefined ? [] : (['json', 'format'] as const)),
    ...(command.answers === 'names' ? (['quiet'] as const) : []),
  ]
}

/** `--machine`, for commands that target a swarm. */
const swarmOption = text('-m, --machine <swarm>', 'swarm to use (default: the only one)', 'swarm')

/** The definitions of the common options of a command. */
export const commonOptionsOf = (command: Command): Option<unknown>[] =>
  commonNamesOf(command).map((name) =>
    name === 'machine' && command.targets === 'swarm' ? swarmOption : commonOptions[name],
  )

const hasFlag = ({ flags }: Option<unknown>, word: string): boolean =>
  flags.split(/[ ,]+/).includes(word)

/** Whether the word after `word` is the value of an option. Short options can be combined: -NL is -N and -L. */
function takesNextWord(word: string, options: readonly Option<unknown>[]): boolean {
  const [, switches = '', last] = /^-(\w*)(\w)$/.exec(word) ?? []
  const isCombined = switches
    .split('')
    .every((letter) =>
      options.some((option) => option.kind === 'flag' && hasFlag(option, `-${letter}`)),
    )
  const name = last !== undefined && isCombined ? `-${last}` : word
  return options.some((option) => option.kind !== 'flag' && hasFlag(option, name))
}

/**
 * Returns the indexes of those words of a command line that are neither options nor option values. The first one is the
 * verb.
 */
export const operandsIn = (
  argv: readonly string[],
  others: readonly Option<unknown>[] = [],
): number[] => {
  const options = [...Object.values(commonOptions), ...others]
  return argv.flatMap((word, index) =>
    word.startsWith('-') || takesNextWord(argv[index - 1] ?? '', options) ? [] : [index],
  )
}

/** Returns the verb of a command line: its first word that is neither a common option nor the value of one. */
export function verbOf(argv: readonly string[]): string | undefined {
  const [first = -1] = operandsIn(argv)
  return argv[first]
}
