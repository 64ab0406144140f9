import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { replaceFields, writeCommands } from '../../../../scripts/reference.ts'
import { commandList } from '../../../../src/commands/index.ts'
import { drivers } from '../../../../src/drivers/index.ts'

const readPage = (name: string): Promise<string> =>
  readFile(join(import.meta.dirname, '../../../../docs', name), 'utf8')

/** Removes the padding that the formatter adds to tables. */
const unpadded = (text: string): string =>
  text.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---').trim()

describe('pages written by `npm run docs`', () => {
  it('docs/commands.md matches the commands (npm run docs)', async () => {
    expect(unpadded(await readPage('commands.md'))).toBe(unpadded(writeCommands(commandList)))
  })

  it('docs/machines-yaml.md matches the fields of the schema (npm run docs)', async () => {
    const page = await readPage('machines-yaml.md')
    expect(unpadded(page)).toBe(unpadded(replaceFields(page, drivers)))
  })
})
