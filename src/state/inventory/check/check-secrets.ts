import { gunzipSync } from 'node:zlib'
import { findSecrets } from '../../../machine/secrets/find-secrets.ts'
import { type Problem, listProblems } from './problem.ts'

/** The marker for lines to skip, which the scanner gitleaks uses, too. */
const skipMarker = 'gitleaks:allow'

/** Maximum number of bytes to search, from the start of a file. User-data is at most one megabyte long. */
const maxBytes = 8 * 2 ** 20

/** Returns the secrets in a text as problems with positions. */
export const secretProblems = (text: string): readonly Problem[] =>
  findSecrets(text).map(({ offset, kind }) => ({
    offset,
    message: `${kind} must not be in this file`,
  }))

/** Returns the text of a file, decompressed if it is a valid gzip file. */
function textOf(content: Uint8Array): string {
  try {
    return gunzipSync(content, { maxOutputLength: maxBytes }).toString()
  } catch {
    return Buffer.from(content).toString('utf8', 0, maxBytes)
  }
}

/**
 * Returns the secrets in a file that an inventory refers to, such as user-data, as lines `FILE:LINE:COLUMN: what`.
 * `file` is its name in messages. Lines with `gitleaks:allow` are skipped.
 */
export function findSecretsInFile(content: Uint8Array, file: string): readonly string[] {
  const text = textOf(content)
  const problems = secretProblems(text).filter(({ offset }) => {
    const end = text.indexOf('\n', offset)
    return !text.slice(offset, end < 0 ? undefined : end).includes(skipMarker)
  })
  return listProblems(file, text, problems)
}
