import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

/** The name of an inventory's file. */
export const inventoryFileName = 'machines.yaml'

interface Search {
  /** What `--inventory` or `$FLEET_INVENTORY` says. */
  readonly told: string | undefined
  readonly cwd: string
  readonly home: string
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
 * The file of the inventory that applies: the one told, else the nearest machines.yaml from `cwd`
 * upwards, else the one in home. One that does not exist is an error only when it is read, with the
 * advice to run `fleet init`.
 */
export async function findInventory({ told, cwd, home }: Search): Promise<string> {
  if (told) return resolve(cwd, told)
  for (const folder of foldersUpFrom(resolve(cwd))) {
    const path = join(folder, inventoryFileName)
    if (await exists(path)) return path
  }
  return join(home, inventoryFileName)
}
