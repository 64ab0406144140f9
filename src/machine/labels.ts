import { UserError } from '../errors.ts'

/** Keys of labels: short, and fit for a selector. */
export const labelKeyPattern = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/

/** Characters that the value of a label may have at most. */
export const longestLabelValue = 255

/** Reads one `key=value` word. Throws kind `usage`, with `hint`, when it is none. */
export function parseLabel(word: string, hint = 'write key=value'): [key: string, value: string] {
  const equals = word.indexOf('=')
  const key = word.slice(0, Math.max(0, equals))
  const value = word.slice(equals + 1)
  if (labelKeyPattern.test(key) && value.length <= longestLabelValue) return [key, value]
  throw new UserError('usage', `${JSON.stringify(word)} is not a label`, { hint })
}

/** Reads `key=value` words. Throws kind `usage`. */
export const parseLabels = (words: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(words.map((word) => parseLabel(word)))
