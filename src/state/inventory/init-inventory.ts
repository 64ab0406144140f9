import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { codeOf, UserError } from '../../errors.ts'
import { explainDiskError } from '../home/disk-error.ts'
import type { Environment } from '../../os/environment.ts'
import type { GitSetup } from '../merge/git-merge-driver.ts'

/** The result of `fleet init`. */
export interface NewInventory {
  /** Id of the fleet. */
  readonly id: string
  /** The files that were written, starting with the inventory. */
  readonly files: readonly string[]
  /** The result of configuring git; undefined outside a work tree. */
  readonly git: GitSetup | undefined
}

const schemaFileName = 'machines.schema.json'

/**
 * Returns the text of an inventory without machines. The id is quoted because ids such as 01234567 and 97598e81 would
 * otherwise be numbers.
 */
export const writeNewInventory = (id: string): string => `\
# yaml-language-server: $schema=./${schemaFileName}
# The machines of this fleet. Share this file through git; it never contains secrets.
version: 1
id: "${id}" # permanent ID of this fleet, used to tag everything that fleet creates
# The entry for a machine, written by fleet or by hand, looks like this:
#   web-1:
#     driver: ssh
#     labels: { role: web, env: prod }
#     options: { address: web-1.example.com, user: admin }
machines: {}
`

/** Writes a new file. Resolves to `false` if it already exists. */
async function writeNewFile(file: string, text: string): Promise<boolean> {
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text, { flag: 'wx', flush: true })
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw explainDiskError(error, { kind: 'inventory', operation: 'write', file })
  }
}

/**
 * Creates an inventory with a new id at `path`, and its directory if necessary. Also writes the
 * schema for editors next to it, unless it exists, and, in a git work tree, lines in .gitignore and
 * .gitattributes. Throws kind `inventory` if the inventory already exists.
 */
export async function initInventory(
  path: string,
  schema: string,
  env: Environment,
): Promise<NewInventory> {
  const id = randomBytes(4).toString('hex')
  if (!(await writeNewFile(path, writeNewInventory(id)))) {
    throw new UserError('inventory', `inventory ${path} already exists`, {
      hint: 'to list its machines: fleet ls',
    })
  }
  const folder = dirname(path)
  const schemaFile = join(folder, schemaFileName)
  const files = [path]
  if (await writeNewFile(schemaFile, schema)) files.push(schemaFile)
  const { configureGit } = await import('../merge/git-merge-driver.ts')
  const git = await configureGit(path, env)
  return { id, files: [...files, ...(git?.files ?? [])], git }
}
