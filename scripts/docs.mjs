// Writes the generated parts of docs/ (options of drivers, fields of machines.yaml, commands, JSON output) and man/.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { register } from 'node:module'

register('./typescript-hook.mjs', import.meta.url)
const { commandList } = await import('../src/commands/index.ts')
const { drivers } = await import('../src/drivers/index.ts')
const { replaceOptionsTable } = await import('./options-table.ts')
const { writeJsonOutputPage, writeJsonOutputSchema } = await import('./json-output/page.ts')
const { writeManPages } = await import('./man-pages.ts')
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
await writeFile(page('json-output.md'), writeJsonOutputPage())
await writeFile(page('json-output.schema.json'), writeJsonOutputSchema())

const manual = new URL('../man/', import.meta.url)
const manPages = writeManPages(commandList)
await rm(manual, { recursive: true, force: true })
await mkdir(manual)
for (const { file, text } of manPages) await writeFile(new URL(file, manual), text)

const manifest = new URL('../package.json', import.meta.url)
const settings = JSON.parse(await readFile(manifest, 'utf8'))
settings.man = manPages.map(({ file }) => `./man/${file}`).toSorted()
await writeFile(manifest, `${JSON.stringify(settings, undefined, 2)}\n`)
