import { realpath, stat } from 'node:fs/promises'
import { UserError, fileTroubleOf } from '../errors.ts'
import { nearestInventory } from '../state/find-inventory.ts'
import type { Context } from './context.ts'

/**
 * Remembers that an inventory of another user is to be used: `file`, else the nearest one from `cwd` upwards. Resolves to
 * its real path. Throws kind `inventory` where there is none.
 */
export async function trustInventoryFile(
  { trust }: Pick<Context, 'trust'>,
  { cwd, file }: { readonly cwd: string; readonly file: string | undefined },
): Promise<string> {
  const found = file ?? (await nearestInventory(cwd))
  if (found === undefined) {
    throw new UserError('inventory', `there is no machines.yaml in ${cwd} or above it`, {
      hint: 'name the file: fleet trust inventory FILE',
    })
  }
  const inventory = await realpath(found).catch((error: unknown) => {
    throw new UserError('inventory', `cannot read ${found}: ${fileTroubleOf(error)}`)
  })
  const { uid: owner } = await stat(inventory)
  await (
    await trust()
  ).update((before) => ({
    ...before,
    inventories: [
      ...before.inventories.filter((one) => one.inventory !== inventory),
      { inventory, owner },
    ],
  }))
  return inventory
}
