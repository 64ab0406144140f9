import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { jsonOutputs } from '../../../../scripts/json-output/outputs.ts'
import { writeJsonOutputPage, writeJsonOutputSchema } from '../../../../scripts/json-output/page.ts'
import { type Command, isGroup } from '../../../../src/commands/command.ts'
import { commandList } from '../../../../src/commands/index.ts'
import { checkJsonMessages, checkJsonOutput } from '../../../support/json-output.ts'
import { repository } from './pages.ts'

/**
 * Names of the commands with `--json`. A command that has both a short name and a name in a group has only the short
 * one.
 */
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

/** Removes the padding that the formatter adds to tables. */
const unpadded = (text: string): string =>
  text.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---').trim()

const readPage = (name: string) => readFile(join(repository, 'docs', name), 'utf8')

it('docs/json-output.md describes every command with --json', () => {
  const documented = new Set(
    jsonOutputs.flatMap(({ outputs }) => outputs.flatMap(({ commands }) => commands)),
  )
  expect(namesWithJson().filter((name) => !documented.has(name))).toEqual([])
})

it('docs/json-output.md and its schema match the definitions (npm run docs)', async () => {
  expect(unpadded(await readPage('json-output.md'))).toBe(unpadded(writeJsonOutputPage()))
  const schema: unknown = JSON.parse(await readPage('json-output.schema.json'))
  expect(schema).toEqual(JSON.parse(writeJsonOutputSchema()))
})

it('rejects JSON output with an unknown field, a missing field or a wrong value', () => {
  const ip = { name: 'web-1', address: '192.0.2.1' }
  checkJsonOutput('ip', JSON.stringify([ip]))
  for (const wrong of [{ ...ip, port: 22 }, { name: 'web-1' }, { ...ip, address: 1 }]) {
    expect(() => checkJsonOutput('ip', JSON.stringify([wrong]))).toThrow('json-output.md')
  }
  const error = { kind: 'usage', message: 'wrong' }
  expect(checkJsonMessages(`a warning\n${JSON.stringify({ error })}\n`)).toEqual(['error'])
  const unknown = JSON.stringify({ error: { ...error, kind: 'other' } })
  expect(() => checkJsonMessages(unknown)).toThrow('json-output.md')
})
