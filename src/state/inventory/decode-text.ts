import { open } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import { findHidden } from '../../machine/hidden-characters.ts'
import { secretProblems } from './check/check-secrets.ts'
import { findConflicts } from '../merge/merge-conflicts.ts'
import { describeHidden, inventoryError, maxProblems, type Problem } from './check/problem.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** Maximum size of a file in bytes: 10,000 machines of 800 bytes. */
const maxFileSize = 8 * 2 ** 20

const tooLarge = (file: string): UserError =>
  new UserError('inventory', `${file} is larger than ${maxFileSize / 2 ** 20} MiB`, {
    hint: 'split the file into several inventories, each in its own directory',
  })

/**
 * Reads an inventory file. Throws kind `inventory` if it is larger than the maximum, without reading the rest, because
 * the file may be endless.
 */
export async function readInventoryFile(file: string): Promise<Buffer> {
  const handle = await open(file)
  try {
    const chunks: Buffer[] = []
    let size = 0
    // A regular file is read as one chunk, to avoid a copy. The size of a pipe is 0.
    let next = Math.min((await handle.stat()).size, maxFileSize) + 1
    for (;;) {
      const { bytesRead, buffer } = await handle.read({ buffer: Buffer.allocUnsafe(next) })
      if (bytesRead === 0)
        return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
      chunks.push(buffer.subarray(0, bytesRead))
      size += bytesRead
      if (size > maxFileSize) throw tooLarge(file)
      next = 2 ** 18
    }
  } finally {
    await handle.close()
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const notText = (file: string, why: string): UserError =>
  new UserError('inventory', `${file} is not UTF-8 text: ${why}`, {
    hint: `save the file as UTF-8, or restore it from git: git checkout -- ${shellQuote(file)}`,
  })

/** Decodes an inventory's file. Throws kind `inventory` if it is not text. A BOM is kept. */
export function decodeInventory(bytes: Uint8Array, file: string): string {
  const nul = bytes.indexOf(0)
  if (nul >= 0) throw notText(file, `the file contains a NUL character at byte ${nul}`)
  try {
    return decoder.decode(bytes)
  } catch {
    throw notText(file, 'the file contains invalid bytes')
  }
}

/**
 * Matches characters that are not allowed even in comments: control characters, and characters that change the
 * direction of the surrounding text.
 */
const hiddenInText =
  // oxlint-disable-next-line no-control-regex
  /[\0-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g

/**
 * Throws kind `inventory` if the text is too large or contains hidden characters, conflict markers
 * or secrets. Does not parse it.
 */
export function checkInventoryText(text: string, file: string): void {
  if (text.length > maxFileSize) throw tooLarge(file)
  const hidden: Problem[] = []
  for (const { index, 0: character } of text.matchAll(hiddenInText)) {
    hidden.push({ offset: index, message: describeHidden(findHidden(character)) })
    if (hidden.length === maxProblems) break
  }
  if (hidden.length > 0) throw inventoryError(file, text, hidden)
  const conflicts = findConflicts(text)
  if (conflicts.length > 0) {
    throw inventoryError(
      file,
      text,
      conflicts,
      'resolve the conflict with fleet merge, or edit the file by hand; then run git add',
    )
  }
  const secrets = secretProblems(text)
  if (secrets.length > 0) {
    throw inventoryError(
      file,
      text,
      secrets,
      'remove the secret; if it was ever committed, revoke it, because git keeps old versions',
    )
  }
}
