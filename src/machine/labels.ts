import { UserError } from '../errors.ts'

/** The pattern for label keys. All keys that match it can be used in a selector. */
export const labelKeyPattern = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/

/** The maximum length of a label value, in characters. */
export const maxLabelLength = 255

/** Parses one `key=value` argument. If it is not a valid label, throws kind `usage` with `hint` as the hint. */
export function parseLabel(
  word: string,
  hint = 'use the format key=value',
): [key: string, value: string] {
  const equals = word.indexOf('=')
  const key = word.slice(0, Math.max(0, equals))
  const value = word.slice(equals + 1)
  if (labelKeyPattern.test(key) && value.length <= maxLabelLength) return [key, value]
  throw new UserError('usage', `invalid label ${JSON.stringify(word)}`, { hint })
}

/** Parses `key=value` arguments. Throws kind `usage` if one of them is not a valid label. */
export const parseLabels = (words: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(words.map((word) => parseLabel(word)))
