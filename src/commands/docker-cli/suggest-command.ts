import { type CommandSection, isGroup } from '../command.ts'

/** Commands of the docker CLI that fleet passes on only as `fleet docker COMMAND`. */
const others = new Set(
  'builder buildx checkpoint config context info login logout manifest node plugin search secret service stack swarm trust version'.split(
    ' ',
  ),
)

/** Verbs in command groups, each followed by synonyms that users may type. */
const synonyms = [
  ['rm', 'remove', 'delete', 'destroy'],
  ['ls', 'list'],
  ['inspect', 'show', 'describe'],
  ['add', 'create', 'new'],
  ['save', 'create', 'new'],
] as const

/**
 * Returns the command that the user probably meant by unknown words: `fleet container top` for docker's `top`, and
 * `fleet snapshot rm` for `snapshot delete`.
 */
export function suggestCommand(
  [word = '', verb = '']: readonly string[],
  sections: readonly CommandSection[],
): string | undefined {
  const groups = sections.flatMap(({ entries }) => entries.filter(isGroup))
  const typed = groups.find(({ name }) => name === word)
  if (typed !== undefined) {
    const meant = synonyms.find(
      ([own, ...others]) =>
        others.some((other) => other === verb) && typed.commands.some(({ name }) => name === own),
    )
    return meant && `fleet ${typed.name} ${meant[0]}`
  }
  const group = groups.find(
    ({ name, commands }) =>
      ['container', 'image'].includes(name) && commands.some((command) => command.name === word),
  )
  if (group !== undefined) return `fleet ${group.name} ${word}`
  return others.has(word) ? `fleet docker ${word}` : undefined
}
