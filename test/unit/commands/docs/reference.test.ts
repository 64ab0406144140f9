import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { replaceFields, writeCommands } from '../../../../scripts/reference.ts'
import { commandList } from '../../../../src/commands/index.ts'
import { drivers } from '../../../../src/drivers/index.ts'

const readPage = (name: string): Promise<string> =>
  readFile(join(import.meta.dirname, '../../../../docs', name), 'utf8')

/** The formatter pads tables; that makes no difference here. */
const unpadded = (text: string): string =>
  text.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---').trim()

describe('pages that `npm run docs` writes', () => {
  it('docs/commands.md has the commands as they are (npm run docs)', async () => {
    expect(unpadded(await readPage('commands.md'))).toBe(unpadded(writeCommands(commandList)))
  })

  it('docs/machines-yaml.md has the fields as they are (npm run docs)', async () => {
    const page = await readPage('machines-yaml.md')
    expect(unpadded(page)).toBe(unpadded(replaceFields(page, drivers)))
  })
})
