import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { ignored } from '../../os/trace.ts'
import type { Stores } from '../context.ts'

/** The real path of the inventory, which identifies it in the trust records. */
export async function inventoryKey({ inventory }: Pick<Stores, 'inventory'>): Promise<string> {
  const { location } = await inventory()
  return realpath(location).catch(
    ignored('inventory', 'resolve the inventory path', resolve(location)),
  )
}
