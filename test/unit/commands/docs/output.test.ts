import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type Command, isGroup } from '../../../../src/commands/command.ts'
import { commandList } from '../../../../src/commands/index.ts'
import { repository } from './pages.ts'

/** The commands with `--json`, as they are typed; those of a group that are listed under a verb of their own once. */
function namesWithJson(): string[] {
  const entries = commandList.flatMap((section) => section.entries)
  const verbs = entries.filter((entry): entry is Command => !isGroup(entry))
  const known = new Set(verbs.map(({ run }) => run))
  const inGroups = entries
    .filter(isGroup)
    .flatMap(({ name, commands }) =>
      commands
        .filter((command) => command.answers !== undefined && !known.has(command.run))
        .map((command) => (name === 'import' ? name : `${name} ${command.name}`)),
    )
  return [
    ...verbs.filter(({ answers }) => answers !== undefined).map(({ name }) => name),
    ...inGroups,
  ]
}

it('docs/output.md has every command with --json', async () => {
  const page = await readFile(join(repository, 'docs/output.md'), 'utf8')
  const rows = page.split('\n').filter((line) => line.startsWith('|'))
  const documented = new Set(
    rows.flatMap((row) =>
      Array.from((row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g), ([, name]) => name),
    ),
  )
  expect(namesWithJson().filter((name) => !documented.has(name))).toEqual([])
})
