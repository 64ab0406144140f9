import { realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { UserError, fileTroubleOf } from '../errors.ts'
import { checkInventory } from '../state/check-inventory.ts'
import { runGit } from '../state/git.ts'
import { decodeInventory, readInventoryFile } from '../state/inventory-text.ts'
import type { Context } from './context.ts'

/** Which state of the inventory is meant. */
interface Check {
  /** What the next commit will have, in place of what is on disk. */
  readonly staged: boolean
}

/** What was found right. */
interface Checked {
  readonly location: string
  readonly machines: number
}

async function readStaged(location: string, env: Context['env']): Promise<string> {
  const file = await realpath(location).catch(() => location)
  const { code, stdout, stderr } = await runGit(
    dirname(file),
    ['show', `:./${basename(file)}`],
    env,
  )
  if (code === 0) return stdout
  const isUnknown = /not in the index|unknown revision|does not exist/.test(stderr)
  const why = isUnknown ? '' : `: ${stderr.trim()}`
  throw new UserError('inventory', `git has no staged ${location}${why}`, {
    hint: `git add ${location}`,
  })
}

async function readDisk(location: string): Promise<string> {
  const bytes = await readInventoryFile(location).catch((error: unknown) => {
    if (error instanceof UserError) throw error
    throw new UserError('inventory', `cannot read ${location}: ${fileTroubleOf(error)}`, {
      hint: 'fleet init',
      cause: error,
    })
  })
  return decodeInventory(bytes, location)
}

/** Checks the inventory for all that others would trip over. Throws kind `inventory` naming every place. */
export async function checkShared(context: Context, { staged }: Check): Promise<Checked> {
  const { location } = await context.inventory()
  const text = await (staged ? readStaged(location, context.env) : readDisk(location))
  const inventory = await checkInventory(text, location, async (names) => {
    const found = await Promise.allSettled(names.map((name) => context.driver(name)))
    const known = new Map(
      found.flatMap((driver) =>
        driver.status === 'fulfilled' ? [[driver.value.name, driver.value.options]] : [],
      ),
    )
    return { optionsOf: (name) => known.get(name), isLasting: false }
  })
  return { location, machines: inventory.machines.size }
}
