import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Environment } from './home.ts'

/** The name of an inventory's file. */
export const inventoryFileName = 'machines.yaml'

interface Search {
  /** The value of `--inventory`. */
  readonly file?: string | undefined
  readonly env: Environment
  readonly cwd: string
  readonly home: string
}

/** Where the inventory is, and whether there is one. */
export interface FoundInventory {
  readonly path: string
  readonly exists: boolean
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

function* foldersUpFrom(folder: string): Generator<string> {
  const parent = dirname(folder)
  yield folder
  if (parent !== folder) yield* foldersUpFrom(parent)
}

/**
 * The inventory that applies: `--inventory`, else `$FLEET_INVENTORY`, else the nearest machines.yaml
 * from `cwd` upwards, else the one in home. One that does not exist is an error only when it is
 * read, with the advice to run `fleet init`.
 */
export async function findInventory({ file, env, cwd, home }: Search): Promise<FoundInventory> {
  const told = file || env['FLEET_INVENTORY']
  if (told) {
    const path = resolve(cwd, told)
    return { path, exists: await exists(path) }
  }
  for (const folder of foldersUpFrom(resolve(cwd))) {
    const path = join(folder, inventoryFileName)
    if (await exists(path)) return { path, exists: true }
  }
  const path = join(home, inventoryFileName)
  return { path, exists: await exists(path) }
}
