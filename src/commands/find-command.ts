import { type Command, type CommandGroup, isGroup } from './command.ts'
import { commandList } from './index.ts'

export const hasName = (entry: Command | CommandGroup, verb: string | undefined): boolean =>
  entry.name === verb || (!isGroup(entry) && (entry.aliases ?? []).some((name) => name === verb))

/** Whether there is a command or a group called `verb`. */
export const isKnown = (verb: string | undefined): boolean =>
  commandList.some(({ entries }) => entries.some((entry) => hasName(entry, verb)))

/** The command called `verb`; undefined for a group. */
export function findCommand(verb: string | undefined): Command | undefined {
  const entries = commandList.flatMap((section) => section.entries)
  const found = entries.find((entry) => hasName(entry, verb))
  return found === undefined || isGroup(found) ? undefined : found
}

/** The group of commands called `verb`. */
export const findGroup = (verb: string): CommandGroup | undefined =>
  commandList
    .flatMap(({ entries }) => entries)
    .filter(isGroup)
    .find((group) => group.name === verb)
