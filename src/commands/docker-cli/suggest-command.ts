import { type CommandSection, isGroup } from '../command.ts'

/** Words of docker that mean a command of fleet by another name. */
const renamed: Readonly<Record<string, string>> = { rmi: 'image rm' }

/** Words of docker that fleet has no command of its own for. */
const others = new Set(
  'builder buildx checkpoint config context info login logout manifest network node plugin search secret service stack swarm system trust version volume'.split(
    ' ',
  ),
)

/** What to type for a word of docker's that is no command of fleet: `fleet container top`. */
export function insteadOf(word: string, sections: readonly CommandSection[]): string | undefined {
  if (renamed[word] !== undefined) return `fleet ${renamed[word]}`
  const groups = sections.flatMap(({ entries }) => entries.filter(isGroup))
  const group = groups.find(
    ({ name, commands }) =>
      ['container', 'image'].includes(name) && commands.some((command) => command.name === word),
  )
  if (group !== undefined) return `fleet ${group.name} ${word}`
  return others.has(word) ? `fleet docker ${word}` : undefined
}
