import { type CommandSection, isGroup } from '../command.ts'

/** Commands of docker that fleet passes on only as `fleet docker COMMAND`. */
const others = new Set(
  'builder buildx checkpoint config context info login logout manifest node plugin search secret service stack swarm trust version'.split(
    ' ',
  ),
)

/** The command of fleet for a command of docker that fleet does not have under this name: `fleet container top` for `top`. */
export function suggestCommand(
  word: string,
  sections: readonly CommandSection[],
): string | undefined {
  const groups = sections.flatMap(({ entries }) => entries.filter(isGroup))
  const group = groups.find(
    ({ name, commands }) =>
      ['container', 'image'].includes(name) && commands.some((command) => command.name === word),
  )
  if (group !== undefined) return `fleet ${group.name} ${word}`
  return others.has(word) ? `fleet docker ${word}` : undefined
}
