import type { Fleet } from '../../app/fleet.ts'
import { commonOptions, commonOptionsOf } from '../options/common-options.ts'
import { isMachineName } from '../../machine/name.ts'
import { type Argument, type Command, type CommandGroup, type Option, isGroup } from '../command.ts'
import { topics } from '../help/topics.ts'
import { commandList } from '../index.ts'
import { completeDockerOption, namesAt } from './docker-words.ts'
import { type Candidate, type Typed, files, knownWords } from './known-words.ts'
import { ignored } from '../../os/trace.ts'

const entries = commandList.flatMap((section) => section.entries)

const namesOf = (option: Option<unknown>): string[] =>
  option.flags.match(/--?[a-zA-Z][\w-]*/g) ?? []

const takesValue = (option: Option<unknown>): boolean => option.kind !== 'flag'

/** The option called `name`, when it takes a value. */
const optionWithValue = (
  options: readonly Option<unknown>[],
  name: string,
): Option<unknown> | undefined =>
  options.find((option) => takesValue(option) && namesOf(option).includes(name))

/** What an option is for that is not finished yet: `--driver=s` has its value in the same word. */
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

/** The options that can stand at the last of `words`. Docker's are not known here, and fleet's only come first. */
async function optionsAt(
  typed: Typed,
  command: Command,
  words: readonly string[],
): Promise<readonly Option<unknown>[]> {
  if (command.passesThrough === true) {
    const isFirst = words.length === 1 || ['--machine', '--on'].includes(words[0] ?? '')
    return isFirst ? [commonOptions.machine, commonOptions.on] : []
  }
  const more = await command.moreOptions?.(words.slice(0, -1), typed.fleet)
  return [...Object.values({ ...command.options, ...more }), ...commonOptionsOf(command)]
}

const choosesMachines = (word: string): boolean => /^(?:-m|--machine|--on|--all)(?:=|$)/.test(word)

/** The arguments that a command takes on a line: none that names machines where an option chooses them. */
function argumentsLeft(command: Command, line: readonly string[]): Argument<unknown>[] {
  const all = Object.values(command.arguments ?? {})
  return line.slice(0, -1).some(choosesMachines)
    ? all.filter(({ machines }) => machines === undefined)
    : all
}

/** The words of docker, without those before them that name machines. */
function withoutTargets(words: readonly string[]): readonly string[] {
  const [first = ''] = words
  if (words.length < 2 || !choosesMachines(first)) return words
  return withoutTargets(words.slice(first.includes('=') || first === '--all' ? 1 : 2))
}

/** Docker's options, where the last of `words` could be one. */
async function dockerOptions(
  { fleet }: Typed,
  { dockerWords }: Command,
  words: readonly string[],
): Promise<Candidate[]> {
  if (dockerWords === undefined) return []
  fleet.hosted?.fallBack() // a program of this computer is asked
  return completeDockerOption([...dockerWords, ...withoutTargets(words)], fleet.env)
}

/** What the last of `words`, those after the command's name, can become. */
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
    typed.fleet.hosted?.fallBack() // it asks the broker
    return pathsOnMachine(typed.fleet, current)
  }
  return knownWords(typed, argument.completes)
}

/** How long paths of a machine are waited for. */
const pathsTimeoutMs = 300

/** What `MACHINE:PATH` can become, as far as the broker is connected to the machine. */
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
    return await listRemotePaths({ ...fleet, signal }, machine, path, status, signal)
  }
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })
  const paths = await Promise.race([list(), late])
  return paths.map((found) => ({ word: `${name}:${found}`, description: '' }))
}

/** How many of `words` are neither options nor their values. */
function countOperands(options: readonly Option<unknown>[], words: readonly string[]): number {
  return words.filter(
    (word, index) =>
      !word.startsWith('-') && optionWithValue(options, words[index - 1] ?? '') === undefined,
  ).length
}

/** The argument that an operand is for: the last one takes the rest where it may be repeated. */
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

/** What `fleet help` can be followed by. */
const helpCandidates = (level: readonly (Command | CommandGroup)[]): Candidate[] => [
  ...verbCandidates(level),
  ...(level === entries ? Object.keys(topics) : []).map((word) => ({ word, description: 'topic' })),
]

/** What the last of `words` can become among the verbs of `level` and what follows them. */
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

/** What would be another line of the answer, or would act on the terminal. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** What the last of `words` (those after `fleet`) can become. Never fails: no answer is an empty one. */
export async function completeWords(fleet: Fleet, words: readonly string[]): Promise<Candidate[]> {
  const current = words.at(-1) ?? ''
  const found = await candidatesAmong({ fleet, line: words }, entries, words).catch(
    ignored('completion', 'complete the word', []),
  )
  return found
    .filter(({ word }) => word === files.word || word.startsWith(current))
    .filter(({ word, description }) => !unprintable.test(word + description))
}
