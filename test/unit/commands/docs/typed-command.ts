import { commonNamesOf, commonOptions } from '../../../../src/commands/options/common-options.ts'
import { type Command, isGroup } from '../../../../src/commands/command.ts'
import { findGroup, hasName } from '../../../../src/commands/find-command.ts'
import { commandList } from '../../../../src/commands/index.ts'
import { drivers } from '../../../../src/drivers/index.ts'
import { optionFlags } from '../../../../src/drivers/options/option-flags.ts'

const entries = commandList.flatMap((section) => section.entries)
const names = (flags: string): string[] =>
  flags.split(/[ ,]+/).filter((word) => word.startsWith('-'))

const valued = new Set(
  Object.values(commonOptions)
    .filter(({ kind }) => kind !== 'flag')
    .flatMap(({ flags }) => names(flags)),
)

const common = new Set([
  ...Object.values(commonOptions).flatMap(({ flags }) => names(flags)),
  ...['--help', '-h', '--version', '-V'],
])

/** Returns the number of leading words that are common options and their values. */
function leading(words: readonly string[]): number {
  let count = 0
  while (words[count]?.startsWith('-') === true) count += valued.has(words[count] ?? '') ? 2 : 1
  return count
}

/** Finds the command in `words` (without `fleet`). Returns the command and its words, or a description of the error. */
export function findCommand(
  words: readonly string[],
): { readonly command: Command; readonly words: readonly string[] } | string {
  const at = leading(words)
  const [verb, next = ''] = words.slice(at)
  const before = words.slice(0, at)
  const unknown = before.find(
    (word) => /^--?[a-z]/i.test(word) && !common.has(word.replace(/=.*/, '')),
  )
  if (unknown !== undefined) return `no option ${unknown}`
  if (verb === undefined || verb === 'help') {
    return { command: { name: 'help', summary: '', run: async () => {} }, words: [] }
  }
  const group = findGroup(verb)
  const inGroup = group?.commands.find((one) => hasName(one, next))
  const fallback = group?.commands.find(({ name }) => name === group.default)
  const command =
    inGroup ??
    fallback ??
    entries.find((entry): entry is Command => !isGroup(entry) && hasName(entry, verb))
  if (command === undefined) {
    return group === undefined ? `no command ${verb}` : `no command ${verb} ${next}`
  }
  const rest = words.slice(at + (inGroup === undefined ? 1 : 2))
  return { command, words: [...before, ...ownWords(command, rest)] }
}

/** Returns the words that fleet parses, without those passed to docker or to a command on a host. */
function ownWords(command: Command, words: readonly string[]): readonly string[] {
  if (command.passesThrough === true) return []
  const dashes = words.indexOf('--')
  const typed = dashes === -1 ? words : words.slice(0, dashes)
  if (command.takesRest !== true) return typed
  const at = leading(typed)
  return typed.slice(0, at)
}

/** Returns whether `words` have more arguments than `command` accepts. */
export function hasTooManyArguments(command: Command, words: readonly string[]): boolean {
  const usages = Object.values(command.arguments ?? {}).map(({ usage }) => usage)
  if (command.moreOptions !== undefined || usages.some((usage) => usage.includes('...'))) {
    return false
  }
  const own = Object.values(command.options ?? {}).filter(({ kind }) => kind !== 'flag')
  const withValue = new Set([...valued, ...own.flatMap(({ flags }) => names(flags))])
  const typed = words.filter(
    (word, at) => !word.startsWith('-') && !withValue.has(words[at - 1] ?? ''),
  )
  return typed.length > usages.length
}

/** Returns the options that `command` accepts, including those of every driver if it accepts driver options. */
export function commandOptions(command: Command): ReadonlySet<string> {
  const own = Object.values(command.options ?? {}).flatMap(({ flags }) => names(flags))
  const common = commonNamesOf(command).flatMap((name) => names(commonOptions[name].flags))
  const driver =
    command.moreOptions === undefined
      ? []
      : drivers.flatMap((one) => optionFlags(one).map(({ name }) => `--${name}`))
  return new Set([...own, ...common, ...driver, '--help', '-h', '--version', '-V'])
}
