import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isGroup } from '../../../src/commands/command.ts'
import { formatOverview, overview } from '../../../src/commands/help/overview.ts'
import { topics } from '../../../src/commands/help/topics.ts'
import { commandList } from '../../../src/commands/index.ts'
import { exitCodes } from '../../../src/errors.ts'
import { functions } from '../../../src/ui/template.ts'

const entries = commandList.flatMap((section) => section.entries)

test('the overview lists every command once', () => {
  const shown = overview.flatMap(({ lines }) => lines.flatMap(({ commands }) => commands))
  const visible = entries.filter((entry) => isGroup(entry) || entry.hidden !== true)
  const names = [...visible.map(({ name }) => name), 'help', 'version']
  expect(shown.toSorted()).toEqual(names.toSorted())
})

test('the overview fits on a screen', () => {
  const lines = formatOverview().trimEnd().split('\n')
  expect(lines.length).toBeLessThanOrEqual(46)
  expect(lines.filter((line) => line.length > 100)).toEqual([])
})

test.each(Object.entries(topics))('the lines of the topic %s fit in a terminal', (_, text) => {
  expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
})

test('the topic exit-codes lists every exit code', () => {
  for (const code of Object.values(exitCodes)) {
    expect(topics['exit-codes']).toMatch(new RegExp(`^ +${code} {3}`, 'm'))
  }
})

test('the topic environment lists every environment variable of fleet', async () => {
  const file = join(import.meta.dirname, '../../../docs/environment.md')
  const names = (await readFile(file, 'utf8')).match(/(?<=^\| `)FLEET_\w+/gm) ?? []
  expect(names).toContain('FLEET_SSH')
  for (const name of names) expect(topics.environment).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'))
})

test('the topic output lists every template function', () => {
  const [, list = ''] = /and the functions\s([^.]*)\./.exec(topics.output) ?? []
  expect(list.split(/,\s/).toSorted()).toEqual(Object.keys(functions).toSorted())
})
