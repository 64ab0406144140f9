import type { Stats } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { UserError, fileProblemOf, messageOf } from '../../errors.ts'
import { nearestInventory } from '../../state/inventory/find-inventory.ts'
import { decodeInventory, readInventoryFile } from '../../state/inventory/decode-text.ts'
import type { Stores } from '../context.ts'

/**
 * Checks that a file is an inventory, without running the code of its drivers. Throws kind `inventory` if it is not.
 */
async function checkInventory(inventory: string): Promise<Stats> {
  try {
    const found = await stat(inventory)
    if (!found.isFile()) throw new UserError('inventory', 'it is not a regular file')
    const text = decodeInventory(await readInventoryFile(inventory), inventory)
    const { readInventoryText } = await import('../../state/inventory/read-text.ts')
    await readInventoryText(text, inventory, async () => ({ optionsOf: () => undefined }))
    return found
  } catch (error) {
    const why = error instanceof UserError ? messageOf(error) : fileProblemOf(error)
    throw new UserError('inventory', `cannot trust ${inventory}: ${why}`, {
      hint: 'specify an inventory file that fleet can read: fleet trust inventory FILE',
      cause: error,
    })
  }
}

/**
 * Trusts an inventory that another user owns: `file`, or else the nearest one in `cwd` and its parent directories.
 * Resolves to its real path. Throws kind `inventory` when there is none, and for a file that is not an inventory.
 */
export async function trustInventoryFile(
  { trust }: Pick<Stores, 'trust'>,
  { cwd, file }: { readonly cwd: string; readonly file: string | undefined },
): Promise<string> {
  const found = file ?? (await nearestInventory(cwd))
  if (found === undefined) {
    throw new UserError(
      'inventory',
      `there is no machines.yaml in ${cwd} or its parent directories`,
      {
        hint: 'specify the file: fleet trust inventory FILE',
      },
    )
  }
  const inventory = await realpath(found).catch((error: unknown) => {
    throw new UserError('inventory', `cannot read ${found}: ${fileProblemOf(error)}`)
  })
  const { uid: owner } = await checkInventory(inventory)
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
