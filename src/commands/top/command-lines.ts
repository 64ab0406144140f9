import type { Target } from '../../operations/top/open-sources.ts'
import type { Argument, Command } from '../command.ts'
import { findCommand, findGroup } from '../find-command.ts'
import { commonNamesOf, commonOptionsOf, operandsIn } from '../options/common-options.ts'
import { UserError } from '../../errors.ts'

/**
 * Splits a typed line into words. Quotes work as in a shell, but nothing is expanded. Throws kind `usage` for an
 * unclosed quote.
 */
export function splitWords(line: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (const character of line) {
    if (quote !== undefined) {
      if (character === quote) quote = undefined
      else word = `${word ?? ''}${character}`
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = `${word ?? ''}${character}`
  }
  if (quote !== undefined) throw new UserError('usage', `missing closing quote: ${quote}`)
  return word === undefined ? words : [...words, word]
}

/** Returns the command that the operands name, and how many operands its name consists of. */
function commandIn(operands: readonly string[]): { command: Command; words: number } | undefined {
  const [verb = '', second] = operands
  const group = findGroup(verb)
  if (group === undefined) {
    const command = findCommand(verb)
    return command && { command, words: 1 }
  }
  const named = group.commands.find(({ name, aliases = [] }) =>
    [name, ...aliases].includes(second ?? ''),
  )
  if (named !== undefined) return { command: named, words: 2 }
  const fallback = group.commands.find(({ name }) => name === group.default)
  return fallback && { command: fallback, words: 1 }
}

/** Whether a command line already selects machines. */
const choosesMachines = (words: readonly string[]): boolean =>
  words.some((word) => /^(?:-m|--machine|--on|--all|--retry-failed)(?:=|$)/.test(word))

/** Whether a command has an argument whose kind of completion matches a pattern. */
const takes = (command: Command, pattern: RegExp): boolean =>
  Object.values(command.arguments ?? {}).some(({ completes }: Argument<unknown>) =>
    pattern.test(completes),
  )

/**
 * Adds the selected targets to a fleet command line that the user has typed. If the command takes names of containers,
 * images, services or machines, adds those names; otherwise, adds options that select the machines. Options and
 * operands that are already on the command line are kept. Throws as {@link splitWords} does, and throws kind `usage`
 * for services in several swarms.
 */
export function withTargets(line: string, targets: readonly Target[]): string[] {
  const typed = splitWords(line)
  const words = typed[0] === 'fleet' ? typed.slice(1) : typed
  const found = commandIn(operandsIn(words).map((index) => words[index] ?? ''))
  if (found === undefined || choosesMachines(words) || targets.length === 0) return words
  const { command } = found
  const hasOperands = operandsIn(words, Object.values(command.options ?? {})).length > found.words
  const machines = [...new Set(targets.map(({ machine }) => machine))]
  const options = commonOptionsOf(command).length > 0 ? commonNamesOf(command) : []
  const onMachines =
    machines.length === 1 && options.includes('machine')
      ? ['-m', machines[0] ?? '']
      : options.includes('on')
        ? machines.flatMap((name) => ['--on', name])
        : []
  const services = targets.flatMap((target) => (target.kind === 'service' ? [target.name] : []))
  if (!hasOperands && takes(command, /container$|^service$/) && services.length > 0) {
    if (machines.length > 1) {
      throw new UserError(
        'usage',
        `the marked services belong to ${machines.length} swarms; mark services in only one swarm`,
      )
    }
    return ['-m', machines[0] ?? '', ...words, ...services]
  }
  const named = targets.flatMap((target) => (target.kind === 'container' ? [target] : []))
  if (!hasOperands && takes(command, /container$/) && named.length > 0) {
    return [...words, ...named.map(({ machine, name }) => `${machine}/${name}`)]
  }
  const images = targets.flatMap((target) => (target.kind === 'image' ? [target.name] : []))
  if (!hasOperands && takes(command, /^image$/) && images.length > 0) {
    return [...onMachines, ...words, ...new Set(images)]
  }
  if (takes(command, /^machine$/)) return hasOperands ? words : [...words, ...machines]
  return [...onMachines, ...words]
}
