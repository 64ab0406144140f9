import { join, resolve } from 'node:path'
import { UserError } from '../../errors.ts'
import type { Fleet } from '../../fleet.ts'
import type { Io } from '../../ui/io.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, optional } from '../definition.ts'

/** The file to write: in the folder named, else the one that every command is told of, else here. */
async function placeFor(
  { inventoryFile }: Fleet,
  { cwd }: Io,
  folder: string | undefined,
): Promise<string> {
  const { inventoryFileName } = await import('../../state/find-inventory.ts')
  if (folder !== undefined && inventoryFile !== undefined) {
    throw new UserError('usage', `is it to be in ${folder}, or is it to be ${inventoryFile}?`, {
      hint: 'name a folder, or say --inventory or $FLEET_INVENTORY: not both',
    })
  }
  return resolve(cwd, inventoryFile ?? join(folder ?? '.', inventoryFileName))
}

export const init = defineCommand({
  name: 'init',
  summary: 'Start a fleet: write an empty machines.yaml',
  arguments: { folder: optional('folder', 'where; the working directory if not said', 'file') },
  answers: 'json',
  examples: ['fleet init', 'fleet init ops'],
  async run({ fleet, io, args, format }) {
    const { initInventory } = await import('../../state/init-inventory.ts')
    const { default: schema } = await import('../../../machines.schema.json', {
      with: { type: 'json' },
    })
    const path = await placeFor(fleet, io, args.folder)
    const { files } = await initInventory(
      path,
      `${JSON.stringify(schema, undefined, 2)}\n`,
      fleet.env,
    )
    if (format.json) {
      writeJson(io, { files })
      return
    }
    for (const file of files) io.stderr.write(`wrote ${file}\n`)
    io.stderr.write('next: fleet adopt user@host, or fleet create NAME --driver local\n')
  },
})
