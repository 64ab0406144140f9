import type { Fleet } from '../../fleet.ts'
import { commonOptionsOf } from '../common-options.ts'
import {
  type Command,
  type CommandGroup,
  type Completes,
  type Option,
  isGroup,
} from '../definition.ts'
import { commandList } from '../index.ts'
import { completionScripts } from './scripts.ts'

/** A word that could stand at the cursor. */
export interface Candidate {
  readonly word: string
  readonly description: string
}

/** Stands for "a file name", which the shell completes by itself. */
const files: Candidate = { word: ':files', description: '' }

const entries = commandList.flatMap((section) => section.entries)

async function candidatesFor(fleet: Fleet, completes: Completes): Promise<Candidate[]> {
  switch (completes) {
    case 'machine': {
      const { machines } = await (await fleet.inventory()).read()
      return [...machines.values()].map(({ name, driver }) => ({ word: name, description: driver }))
    }
    case 'driver': {
      const { drivers } = await import('../../drivers/index.ts')
      return drivers.map(({ name, summary }) => ({ word: name, description: summary }))
    }
    case 'shell':
      return Object.keys(completionScripts).map((word) => ({ word, description: 'shell' }))
    case 'file':
      return [files]
    case 'nothing':
      return []
  }
}

const namesOf = (option: Option<unknown>): string[] =>
  option.flags.match(/--?[a-zA-Z][\w-]*/g) ?? []

const takesValue = (option: Option<unknown>): boolean => /[<[]/.test(option.flags)

async function candidatesOfCommand(
  fleet: Fleet,
  command: Command,
  words: readonly string[],
): Promise<Candidate[]> {
  const current = words.at(-1) ?? ''
  const options: Option<unknown>[] = [
    ...Object.values({ ...command.options, ...(await command.moreOptions?.(words)) }),
    ...commonOptionsOf(command),
  ]
  const before = words.at(-2) ?? ''
  const unfinished = options.find((option) => namesOf(option).includes(before))
  if (unfinished !== undefined && takesValue(unfinished)) {
    return candidatesFor(fleet, unfinished.completes)
  }
  if (current.startsWith('-')) {
    return options.flatMap((option) =>
      namesOf(option)
        .filter((name) => name.startsWith('--'))
        .map((word) => ({ word, description: option.description })),
    )
  }
  const definitions = Object.values(command.arguments ?? {})
  const position = words.slice(0, -1).filter((word) => !word.startsWith('-')).length
  const argument = definitions[Math.min(position, definitions.length - 1)]
  return argument === undefined ? [] : candidatesFor(fleet, argument.completes)
}

/** What the last of `words` (those after `fleet`) can become. Never fails: no answer is an empty one. */
export async function completeWords(fleet: Fleet, words: readonly string[]): Promise<Candidate[]> {
  const current = words.at(-1) ?? ''
  let level: readonly (Command | CommandGroup)[] = entries
  let rest = [...words]
  let found: Candidate[] | undefined
  while (found === undefined) {
    const entry = rest.length > 1 ? level.find(({ name }) => name === rest[0]) : undefined
    if (entry === undefined) {
      found = level
        .filter((entry) => isGroup(entry) || entry.hidden !== true)
        .map(({ name, summary }) => ({ word: name, description: summary }))
    } else if (isGroup(entry)) {
      level = entry.commands
      rest = rest.slice(1)
    } else {
      found = await candidatesOfCommand(fleet, entry, rest.slice(1)).catch(() => [])
    }
  }
  return found.filter(({ word }) => word === files.word || word.startsWith(current))
}
