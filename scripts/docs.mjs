// Writes the generated parts of docs/: the option tables of the drivers, the fields of machines.yaml, and the commands.
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { register } from 'node:module'

register('./typescript-hook.mjs', import.meta.url)
const { commandList } = await import('../src/commands/index.ts')
const { drivers } = await import('../src/drivers/index.ts')
const { replaceOptionsTable } = await import('./options-table.ts')
const { replaceFields, writeCommands } = await import('./reference.ts')

const page = (name) => new URL(`../docs/${name}`, import.meta.url)

for (const driver of drivers) {
  const file = page(`drivers/${driver.name}.md`)
  if (!existsSync(file)) continue
  await writeFile(file, replaceOptionsTable(await readFile(file, 'utf8'), driver))
}

const fields = page('machines-yaml.md')
await writeFile(fields, replaceFields(await readFile(fields, 'utf8'), drivers))
await writeFile(page('commands.md'), writeCommands(commandList))
