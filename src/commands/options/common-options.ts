import { type Command, type Option, flag, parsed, text, texts } from '../command.ts'
import { parseCount, parseSeconds } from './numbers.ts'

/** The options that mean the same for every command that takes them, by the property they set. */
export const commonOptions = {
  inventory: text('--inventory <file>', 'the machines.yaml to use', 'file'),
  machine: text('-m, --machine <name>', 'the machine to use', 'machine'),
  on: texts(
    '--on <selector>',
    'the machines to use: web-*, role=web, driver=ssh, all (repeatable)',
    'selector',
  ),
  all: flag('--all', 'all machines: short for --on all'),
  parallel: parsed(
    '--parallel <count>',
    'how many machines to work on at once (32; for ls and status 128, where hosts are made or switched 8)',
    (count) => parseCount(count, 1),
  ),
  timeout: parsed('--timeout <seconds>', 'how long each machine may take', parseSeconds),
  maxFail: parsed(
    '--max-fail <count>',
    'begin with no more machines after so many failures',
    (count) => parseCount(count, 1),
  ),
  retryFailed: flag('--retry-failed', 'only the machines that failed the last time'),
  fold: flag('--fold', 'what several machines answer alike, once'),
  json: flag('--json', 'answer in JSON'),
  quiet: flag('-q, --quiet', 'names only; ids of containers'),
} as const

/** The inventory that the words of an unparsed command line name. */
export function inventoryIn(words: readonly string[]): string | undefined {
  const index = words.lastIndexOf('--inventory')
  const joined = words.findLast((word) => word.startsWith('--inventory='))
  return index >= 0 ? words[index + 1] : joined?.slice('--inventory='.length)
}

/** The name of a common option. */
export type CommonOption = keyof typeof commonOptions

const takesParallel = (command: Command): boolean =>
  command.worksOnSeveral === true || (command.targets === 'many' && command.allAtOnce !== true)

/** Which of the common options `command` takes. */
export function commonNamesOf(command: Command): CommonOption[] {
  return [
    'inventory',
    ...(command.targets === undefined ? [] : (['machine'] as const)),
    ...(command.targets === 'many' ? (['on', 'all'] as const) : []),
    ...(takesParallel(command) ? (['parallel'] as const) : []),
    ...(command.gathers === true ? (['timeout', 'maxFail', 'retryFailed', 'fold'] as const) : []),
    ...(command.answers === undefined ? [] : (['json'] as const)),
    ...(command.answers === 'names' ? (['quiet'] as const) : []),
  ]
}

/** The common options that `command` takes. */
export const commonOptionsOf = (command: Command): Option<unknown>[] =>
  commonNamesOf(command).map((name) => commonOptions[name])

const takesNextWord = (word: string): boolean =>
  Object.values(commonOptions).some(
    ({ flags, kind }) => kind !== 'flag' && flags.split(/[ ,]+/).includes(word),
  )

/** Where in a command line the words stand that are neither common options nor the values of such, the verb first. */
export const operandsIn = (argv: readonly string[]): number[] =>
  argv.flatMap((word, index) =>
    word.startsWith('-') || takesNextWord(argv[index - 1] ?? '') ? [] : [index],
  )

/** The verb of a command line: its first word that is neither a common option nor the value of one. */
export function verbOf(argv: readonly string[]): string | undefined {
  const [first = -1] = operandsIn(argv)
  return argv[first]
}
