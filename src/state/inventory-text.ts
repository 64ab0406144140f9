import { UserError } from '../errors.ts'
import { findSecrets } from '../machine/secrets.ts'
import { findConflicts } from './merge-conflicts.ts'
import { inventoryError, type Problem } from './inventory-problem.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const notText = (file: string, why: string): UserError =>
  new UserError('inventory', `${file} is not a text in UTF-8: ${why}`, {
    hint: `save it as UTF-8, or bring it back from git: git checkout -- ${file}`,
  })

/** The text of an inventory's file. Throws kind `inventory` for what is no text. A BOM stays. */
export function decodeInventory(bytes: Uint8Array, file: string): string {
  const nul = bytes.indexOf(0)
  if (nul >= 0) throw notText(file, `there is a NUL at byte ${nul}`)
  try {
    return decoder.decode(bytes)
  } catch {
    throw notText(file, 'some bytes are no characters')
  }
}

/** Throws for what must not be in the text whatever it means: conflict markers and secrets. */
export function checkInventoryText(text: string, file: string): void {
  const conflicts = findConflicts(text)
  if (conflicts.length > 0) {
    throw inventoryError(
      file,
      text,
      conflicts,
      'fleet merge does it entry by entry; or keep the lines that are right; then git add it',
    )
  }
  const secrets = findSecrets(text).map(({ offset, kind }): Problem => ({
    offset,
    message: `${kind} must not be in this file`,
  }))
  if (secrets.length > 0) {
    throw inventoryError(
      file,
      text,
      secrets,
      'remove it; when it was ever committed, replace it at its issuer: git remembers',
    )
  }
}
