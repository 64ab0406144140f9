import { gunzipSync } from 'node:zlib'
import { findSecrets } from '../../../machine/secrets.ts'
import { type Problem, listProblems } from './problem.ts'

/** A line that says so holds no secret; scanners of repositories read the same word. */
const allowed = 'gitleaks:allow'

/** Longer files are searched so far, in bytes: user-data has a megabyte at most. */
const mostBytes = 8 * 2 ** 20

/** The secrets in a text, as problems with a place. */
export const secretProblems = (text: string): readonly Problem[] =>
  findSecrets(text).map(({ offset, kind }) => ({
    offset,
    message: `${kind} must not be in this file`,
  }))

/** The text of a file, unpacked where it is gzip'd. What cannot be unpacked is searched as it is. */
function textOf(content: Uint8Array): string {
  try {
    return gunzipSync(content, { maxOutputLength: mostBytes }).toString()
  } catch {
    return Buffer.from(content).toString('utf8', 0, mostBytes)
  }
}

/**
 * The secrets in a file that an inventory names, such as user-data, as lines `FILE:LINE:COLUMN: what`. `file` is what messages
 * call it. A line that holds the word `gitleaks:allow` is passed over.
 */
export function findSecretsInFile(content: Uint8Array, file: string): readonly string[] {
  const text = textOf(content)
  const problems = secretProblems(text).filter(({ offset }) => {
    const end = text.indexOf('\n', offset)
    return !text.slice(offset, end < 0 ? undefined : end).includes(allowed)
  })
  return listProblems(file, text, problems)
}
