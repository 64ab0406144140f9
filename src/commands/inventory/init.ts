import { dirname, join, resolve } from 'node:path'
import { UserError } from '../../errors.ts'
import type { Fleet } from '../../app/fleet.ts'
import type { Io } from '../../ui/io.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, defineCommand, flag, optional } from '../command.ts'
import { requireConsent } from '../options/confirmation.ts'

/** The file to write: in the folder named, else the one that every command is told of, else here. */
async function placeFor(
  { inventoryFile }: Fleet,
  { cwd }: Io,
  folder: string | undefined,
): Promise<string> {
  const { inventoryFileName } = await import('../../state/inventory/find-inventory.ts')
  if (folder !== undefined && inventoryFile !== undefined) {
    throw new UserError('usage', `is it to be in ${folder}, or is it to be ${inventoryFile}?`, {
      hint: 'name a folder, or say --inventory or $FLEET_INVENTORY: not both',
    })
  }
  return resolve(cwd, inventoryFile ?? join(folder ?? '.', inventoryFileName))
}

/** Has the person confirm an inventory in a folder that has one above it: commands below it would use the new one alone. */
async function confirmNested(
  { fleet, io }: Pick<Invocation, 'fleet' | 'io'>,
  file: string,
  yes: boolean,
) {
  if (yes || fleet.inventoryFile !== undefined) return
  const { nearestInventory } = await import('../../state/inventory/find-inventory.ts')
  const folder = dirname(file)
  const above = await nearestInventory(dirname(folder))
  const own = await nearestInventory(folder)
  if (above === undefined || own !== above) return // without one above, or with one in the folder, which is refused
  await requireConsent(
    io,
    yes,
    `Start another fleet in ${folder}?`,
    `${folder} belongs to the fleet of ${above}: commands there use its machines.\n`,
  )
}

export const init = defineCommand({
  name: 'init',
  summary: 'Start a fleet: write an empty machines.yaml',
  arguments: { folder: optional('folder', 'where; the working directory if not said', 'file') },
  answers: 'json',
  options: { yes: flag('-y, --yes', 'no question where the folder belongs to a fleet already') },
  examples: ['fleet init', 'fleet init ops'],
  async run({ fleet, io, args, options, format }) {
    const { initInventory } = await import('../../state/inventory/init-inventory.ts')
    const { default: schema } = await import('../../../machines.schema.json', {
      with: { type: 'json' },
    })
    const path = await placeFor(fleet, io, args.folder)
    await confirmNested({ fleet, io }, path, options.yes)
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
