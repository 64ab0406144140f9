import { dirname, join, resolve } from 'node:path'
import { UserError } from '../../errors.ts'
import type { Fleet } from '../../app/fleet.ts'
import type { Io } from '../../ui/io.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { writeJson } from '../../ui/table.ts'
import { type Invocation, defineCommand, flag, optional } from '../command.ts'
import { requireConsent } from '../options/confirmation.ts'

/**
 * Resolves to the path of the file to write: a file in `folder` if it is given, or else the file that --inventory
 * names, or else a file in the working directory.
 */
async function placeFor(
  { inventoryFile }: Fleet,
  { cwd }: Io,
  folder: string | undefined,
): Promise<string> {
  const { inventoryFileName } = await import('../../state/inventory/find-inventory.ts')
  if (folder !== undefined && inventoryFile !== undefined) {
    throw new UserError(
      'usage',
      `the directory ${folder} and the inventory ${inventoryFile} cannot both be specified`,
      {
        hint: 'specify either a directory or --inventory ($FLEET_INVENTORY)',
      },
    )
  }
  return resolve(cwd, inventoryFile ?? join(folder ?? '.', inventoryFileName))
}

/**
 * Asks for confirmation before creating an inventory in a directory below another inventory: commands in that directory
 * would then use only the new inventory.
 */
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
  if (above === undefined || own !== above) return // no inventory above, or one in the same directory, which is refused
  await requireConsent(
    io,
    yes,
    `Create a new inventory in ${folder}?`,
    `${folder} is inside the directory of another inventory: ${above}\n`,
  )
}

export const init = defineCommand({
  name: 'init',
  summary: 'Create an empty machines.yaml',
  description:
    'Create an empty inventory (machines.yaml) and its JSON Schema in the same directory.',
  arguments: {
    folder: optional(
      'directory',
      'directory for the inventory (default: working directory)',
      'file',
    ),
  },
  answers: 'json',
  options: {
    yes: flag('-y, --yes', 'do not ask for confirmation if a parent directory has an inventory'),
  },
  examples: ['fleet init', 'fleet init ops'],
  async run({ fleet, io, args, options, format }) {
    const { initInventory } = await import('../../state/inventory/init-inventory.ts')
    const { default: schema } = await import('../../../machines.schema.json', {
      with: { type: 'json' },
    })
    const path = await placeFor(fleet, io, args.folder)
    await confirmNested({ fleet, io }, path, options.yes)
    const { files, git } = await initInventory(
      path,
      `${JSON.stringify(schema, undefined, 2)}\n`,
      fleet.env,
    )
    const isFound = resolve(io.cwd, 'machines.yaml') === path
    const install = isFound
      ? 'fleet merge --install'
      : `fleet merge --install --inventory ${shellQuote(path)}`
    if (git?.failure !== undefined) {
      io.stderr.write(`git was not configured to use fleet merge: ${git.failure}\n`)
      io.stderr.write(`  once the error is resolved, run: ${install}\n`)
    }
    if (format.json) {
      writeJson(io, { files })
      return
    }
    for (const file of files) io.stderr.write(`wrote ${file}\n`)
    if (git === undefined) {
      io.stderr.write(`once the directory is in a git repository, run: ${install}\n`)
    }
    io.stderr.write(
      'next, add a host: fleet adopt user@host, or fleet create NAME --driver local\n',
    )
  },
})
