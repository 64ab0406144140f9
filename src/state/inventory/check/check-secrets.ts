import { gunzipSync } from 'node:zlib'
import { findSecrets } from '../../../machine/secrets/find-secrets.ts'
import { type Problem, listProblems } from './problem.ts'

/** The marker of lines to skip, which is also that of the scanner gitleaks. */
const skipMarker = 'gitleaks:allow'

/** Only the start of longer files is searched, in bytes: user-data has at most a megabyte. */
const maxBytes = 8 * 2 ** 20

/** The secrets in a text, as problems with positions. */
export const secretProblems = (text: string): readonly Problem[] =>
  findSecrets(text).map(({ offset, kind }) => ({
    offset,
    message: `${kind} must not be in this file`,
  }))

/** The text of a file, decompressed if it is in gzip format and that succeeds. */
function textOf(content: Uint8Array): string {
  try {
    return gunzipSync(content, { maxOutputLength: maxBytes }).toString()
  } catch {
    return Buffer.from(content).toString('utf8', 0, maxBytes)
  }
}

/**
 * The secrets in a file that an inventory refers to, such as user-data, as lines `FILE:LINE:COLUMN:
 * what`. `file` is its name in messages. Lines with `gitleaks:allow` are skipped.
 */
export function findSecretsInFile(content: Uint8Array, file: string): readonly string[] {
  const text = textOf(content)
  const problems = secretProblems(text).filter(({ offset }) => {
    const end = text.indexOf('\n', offset)
    return !text.slice(offset, end < 0 ? undefined : end).includes(skipMarker)
  })
  return listProblems(file, text, problems)
}
