// Writes the tables of options in docs/drivers/NAME.md, from the schemas that fleet itself checks with.
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { register } from 'node:module'

register('./typescript-hook.mjs', import.meta.url)
const { drivers } = await import('../src/drivers/index.ts')
const { replaceOptionsTable } = await import('./options-table.ts')

for (const driver of drivers) {
  const file = new URL(`../docs/drivers/${driver.name}.md`, import.meta.url)
  if (!existsSync(file)) continue
  await writeFile(file, replaceOptionsTable(await readFile(file, 'utf8'), driver))
}
