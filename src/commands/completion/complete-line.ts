import type { Fleet } from '../../app/fleet.ts'
import { commonOptions, commonOptionsOf, findFlag } from '../options/common-options.ts'
import { isMachineName } from '../../machine/name.ts'
import {
  type Argument,
  type Command,
  type CommandGroup,
  type Option,
  flag,
  isGroup,
} from '../command.ts'
import { topics } from '../help/topics.ts'
import { commandList } from '../index.ts'
import { completeDockerOption, namesAt } from './docker-words.ts'
import { type Candidate, type Typed, files, knownWords } from './inventory-names.ts'
import { ignored } from '../../os/trace.ts'

const entries = commandList.flatMap((section) => section.entries)

const namesOf = (option: Option<unknown>): string[] =>
  option.flags.match(/--?[a-zA-Z][\w-]*/g) ?? []

const takesValue = (option: Option<unknown>): boolean => option.kind !== 'flag'

/** Returns the option called `name`, if it takes a value. */
const optionWithValue = (
  options: readonly Option<unknown>[],
  name: string,
): Option<unknown> | undefined =>
  options.find((option) => takesValue(option) && namesOf(option).includes(name))

/** Completes an option's value that is part of the same word: `--driver=s`. */
async function candidatesOfOption(
  typed: Typed,
  options: readonly Option<unknown>[],
  word: string,
): Promise<Candidate[]> {
  const [, name] = /^(--[^=]+)=/.exec(word) ?? []
  if (name === undefined) {
    return options.flatMap((option) =>
      namesOf(option)
        .filter((name) => name.startsWith('--'))
        .map((word) => ({ word, description: option.description })),
    )
  }
  const option = optionWithValue(options, name)
  const values = option === undefined ? [] : await knownWords(typed, option.completes)
  return values.map((value) =>
    value === files ? files : { ...value, word: `${name}=${value.word}` },
  )
}

const findOption = flag(findFlag, 'search all machines, or the selected ones, for the container')

/**
 * Resolves to fleet's own options that can complete the last of `words`. {@link dockerOptions} adds docker's options.
 */
async function optionsAt(
  typed: Typed,
  command: Command,
  words: readonly string[],
): Promise<readonly Option<unknown>[]> {
  if (command.passesThrough === true) {
    const isFirst = words.length === 1 || ['--machine', '--on'].includes(words[0] ?? '')
    const find = command.name === 'exec' ? [findOption] : []
    return isFirst ? [commonOptions.machine, commonOptions.on, ...find] : []
  }
  const more = await command.moreOptions?.(words.slice(0, -1), typed.fleet)
  return [...Object.values({ ...command.options, ...more }), ...commonOptionsOf(command)]
}

const choosesMachines = (word: string): boolean => /^(?:-m|--machine|--on|--all)(?:=|$)/.test(word)

/** Returns a command's arguments. If options select the machines, arguments that name machines are left out. */
function argumentsLeft(command: Command, line: readonly string[]): Argument<unknown>[] {
  const all = Object.values(command.arguments ?? {})
  return line.slice(0, -1).some(choosesMachines)
    ? all.filter(({ machines }) => machines === undefined)
    : all
}

/** Returns the words for docker, without any preceding options that select machines or search them. */
function withoutTargets(words: readonly string[]): readonly string[] {
  const [first = ''] = words
  if (words.length > 1 && first === findFlag) return withoutTargets(words.slice(1))
  if (words.length < 2 || !choosesMachines(first)) return words
  return withoutTargets(words.slice(first.includes('=') || first === '--all' ? 1 : 2))
}

/** Resolves to docker's options, if the last of `words` may be one of them. */
async function dockerOptions(
  { fleet }: Typed,
  { dockerWords }: Command,
  words: readonly string[],
): Promise<Candidate[]> {
  if (dockerWords === undefined) return []
  fleet.hosted?.fallBack() // runs a local program
  return completeDockerOption([...dockerWords, ...withoutTargets(words)], fleet.env)
}

/** Completes the last of `words`, which are the words after the command's name. */
async function candidatesOfCommand(
  typed: Typed,
  command: Command,
  words: readonly string[],
): Promise<Candidate[]> {
  if (words.slice(0, -1).includes('--')) return []
  const options = await optionsAt(typed, command, words)
  const position = countOperands(options, words.slice(0, -1))
  if (command.takesRest === true && position > 0) return [] // another program's words
  const unfinished = optionWithValue(options, words.at(-2) ?? '')
  if (unfinished !== undefined) return knownWords(typed, unfinished.completes)
  const current = words.at(-1) ?? ''
  if (current.startsWith('-')) {
    const own = await candidatesOfOption(typed, options, current)
    return [...own, ...(await dockerOptions(typed, command, words))]
  }
  if (command.dockerWords !== undefined) {
    const names = namesAt([...command.dockerWords, ...withoutTargets(words)])
    if (names !== undefined) return knownWords(typed, names)
  }
  const argument = argumentAt(argumentsLeft(command, typed.line), position)
  if (argument === undefined) return []
  if (argument.completes === 'place' && current.includes(':')) {
    typed.fleet.hosted?.fallBack() // uses the broker's client
    return pathsOnMachine(typed.fleet, current)
  }
  return knownWords(typed, argument.completes)
}

/** How long to wait for paths from a machine, in milliseconds. */
const pathsTimeoutMs = 300

/** Completes the path in `MACHINE:PATH`, if the broker is connected to the machine. */
async function pathsOnMachine(fleet: Fleet, word: string): Promise<Candidate[]> {
  const [, name = '', path = ''] = /^([^:/\\]+):(.*)$/s.exec(word) ?? []
  const inventory = await (await fleet.inventory()).read()
  const machine = isMachineName(name) ? inventory.machines.get(name) : undefined
  if (machine === undefined) return []
  const signal = AbortSignal.timeout(pathsTimeoutMs)
  const list = async (): Promise<string[]> => {
    const status = await (await fleet.broker())?.status()
    if (status === undefined || status === 'retired') return []
    const { listRemotePaths } = await import('../../operations/copy/list-remote-paths.ts')
    return await listRemotePaths(fleet.with({ signal }), machine, path, status)
  }
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })
  const paths = await Promise.race([list(), late])
  return paths.map((found) => ({ word: `${name}:${found}`, description: '' }))
}

/** The number of `words` that are neither options nor their values. */
function countOperands(options: readonly Option<unknown>[], words: readonly string[]): number {
  return words.filter(
    (word, index) =>
      !word.startsWith('-') && optionWithValue(options, words[index - 1] ?? '') === undefined,
  ).length
}

/** Returns the argument that receives the operand at a position; the last argument may be repeated. */
function argumentAt(
  definitions: readonly Argument<unknown>[],
  position: number,
): Argument<unknown> | undefined {
  const last = definitions.at(-1)
  return definitions[position] ?? (last?.usage.includes('...') ? last : undefined)
}

const verbCandidates = (level: readonly (Command | CommandGroup)[]): Candidate[] =>
  level
    .filter((entry) => isGroup(entry) || entry.hidden !== true)
    .map(({ name, summary }) => ({ word: name, description: summary }))

/** Completes `fleet help`. */
const helpCandidates = (level: readonly (Command | CommandGroup)[]): Candidate[] => [
  ...verbCandidates(level),
  ...(level === entries ? Object.keys(topics) : []).map((word) => ({ word, description: 'topic' })),
]

/** Completes the last of `words`. The words consist of the name of a command in `level` and the command's arguments. */
async function candidatesAmong(
  typed: Typed,
  level: readonly (Command | CommandGroup)[],
  words: readonly string[],
): Promise<Candidate[]> {
  const [first = '', ...rest] = words
  const common = Object.values(commonOptions)
  if (rest.length === 0) {
    return first.startsWith('-') ? candidatesOfOption(typed, common, first) : verbCandidates(level)
  }
  if (first.startsWith('-')) {
    const option = optionWithValue(common, first)
    if (option !== undefined && rest.length === 1) return knownWords(typed, option.completes)
    return candidatesAmong(typed, level, option === undefined ? rest : rest.slice(1))
  }
  if (first === 'help') return rest.length === 1 ? helpCandidates(level) : []
  const entry = level.find(({ name, ...entry }) =>
    [name, ...('aliases' in entry ? (entry.aliases ?? []) : [])].includes(first),
  )
  if (entry === undefined) return []
  if (!isGroup(entry)) return candidatesOfCommand(typed, entry, rest)
  const named = await candidatesAmong(typed, entry.commands, rest)
  const meant = entry.commands.find(({ name }) => name === entry.default)
  const isNamed = rest.length > 1 && entry.commands.some(({ name }) => name === rest[0])
  if (meant === undefined || isNamed) return named
  return [...named, ...(await candidatesOfCommand(typed, meant, rest))]
}

/** Characters that would start a new line of output or control the terminal. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/**
 * Completes the last of `words`, which are the words after `fleet`. Never throws: if an error occurs, there are no
 * candidates.
 */
export async function completeWords(fleet: Fleet, words: readonly string[]): Promise<Candidate[]> {
  const current = words.at(-1) ?? ''
  const found = await candidatesAmong({ fleet, line: words }, entries, words).catch(
    ignored('completion', 'complete the word', []),
  )
  return found
    .filter(({ word }) => word === files.word || word.startsWith(current))
    .filter(({ word, description }) => !unprintable.test(word + description))
}
