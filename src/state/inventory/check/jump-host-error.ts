import type { UserError } from '../../../errors.ts'
import type { JumpChainError } from '../../../machine/jump-hosts.ts'
import { settingPath } from './setting-path.ts'
import type { Inventory } from '../inventory.ts'
import { locate, parseInventoryDocument } from '../document.ts'
import { inventoryError } from './problem.ts'

/** Creates the error for invalid jump hosts, with their positions in the text of `file`. */
export function jumpHostError(
  { text, inventory }: { readonly text: string; readonly inventory: Inventory },
  file: string,
  problems: readonly JumpChainError[],
): UserError {
  const { root } = parseInventoryDocument(text, file)
  return inventoryError(
    file,
    text,
    problems.map(({ name, message }) => {
      const { node, keyOffset } = locate(root, settingPath(inventory, name, 'via'))
      return { offset: node?.range[0] ?? keyOffset, message }
    }),
    'change or remove "via" in the inventory',
  )
}
