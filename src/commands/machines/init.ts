import { defineCommand, optional } from '../definition.ts'

export const init = defineCommand({
  name: 'init',
  summary: 'Start a fleet: write an empty machines.yaml',
  arguments: { folder: optional('folder', 'where; the working directory if not said', 'file') },
  examples: ['fleet init', 'fleet init ops'],
  async run({ fleet, io, args }) {
    const { initInventory } = await import('../../operations/init-inventory.ts')
    const written = await initInventory(fleet, args.folder)
    for (const file of written) io.stderr.write(`wrote ${file}\n`)
  },
})
