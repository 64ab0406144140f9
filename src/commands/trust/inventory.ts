import { resolve } from 'node:path'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, optional } from '../command.ts'

export const trustInventory = defineCommand({
  name: 'inventory',
  summary: 'Trust an inventory that another user can change',
  description:
    'Trust an inventory that another user owns or can change, so that fleet uses it without --inventory. Any user who can change the inventory controls which hosts your commands connect to.',
  arguments: { file: optional('file', 'inventory file (default: the nearest one)', 'file') },
  answers: 'json',
  examples: ['fleet trust inventory /srv/ops/machines.yaml'],
  async run({ fleet, io, args, format }) {
    const { trustInventoryFile } = await import('../../operations/trust/trust-inventory.ts')
    const file = args.file === undefined ? fleet.inventoryFile : args.file
    const inventory = await trustInventoryFile(fleet, {
      cwd: io.cwd,
      file: file === undefined ? undefined : resolve(io.cwd, file),
    })
    if (format.json) writeJson(io, { inventory })
    else io.stderr.write(`trusted: ${inventory}\n`)
  },
})
