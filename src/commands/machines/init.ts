import { resolve } from 'node:path'
import { defineCommand, optional } from '../definition.ts'

export const init = defineCommand({
  name: 'init',
  summary: 'Start a fleet: write an empty machines.yaml',
  arguments: { folder: optional('folder', 'where; the working directory if not said', 'file') },
  examples: ['fleet init', 'fleet init ops'],
  async run({ io, args }) {
    const { inventoryFileName } = await import('../../state/find-inventory.ts')
    const { initInventory } = await import('../../state/init-inventory.ts')
    const { default: schema } = await import('../../../machines.schema.json', {
      with: { type: 'json' },
    })
    const path = resolve(io.cwd, args.folder ?? '.', inventoryFileName)
    const { files } = await initInventory(path, `${JSON.stringify(schema, undefined, 2)}\n`)
    for (const file of files) io.stderr.write(`wrote ${file}\n`)
    io.stderr.write('next: fleet adopt user@host, or fleet create NAME --driver local\n')
  },
})
