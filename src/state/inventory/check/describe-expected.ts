import type { z } from 'zod'

type Issue = z.core.$ZodIssue

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  null: 'null',
}

const units: Readonly<Record<string, string>> = {
  string: ' characters',
  array: ' items',
  set: ' items',
}

function bounds(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const [words, amount] =
    issue.code === 'too_small'
      ? [['more than', 'at least'], issue.minimum]
      : [['less than', 'at most'], issue.maximum]
  const limit = issue.exact ? 'exactly' : words[issue.inclusive === false ? 0 : 1]
  return `${limit} ${amount}${units[issue.origin] ?? ''}`
}

const orList = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`

/**
 * Returns a message from one of fleet's schemas, which names the expected value; `undefined` for zod's own messages,
 * which name the error.
 */
const ownMessage = (message: string): string | undefined =>
  message.startsWith('Invalid') ? undefined : message.replace(/^expected /, '')

const show = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value) : String(value)

/** Describes the value that the schema expects, as a phrase that follows the word "expected". */
export function describeExpected(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeNames[issue.expected] ?? issue.expected
    case 'invalid_value':
      return orList(issue.values.map(show))
    case 'too_small':
      return issue.origin === 'string' && issue.minimum === 1 ? 'a non-empty string' : bounds(issue)
    case 'too_big':
      return bounds(issue)
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues[0] ? describeExpected(issue.issues[0]) : 'something else'
    case 'invalid_format':
      if (issue.format === 'datetime') return 'a time such as 2026-11-23T10:00:00Z'
      return ownMessage(issue.message) ?? `a valid ${issue.format}`
    case 'invalid_union':
      return orList([
        ...new Set(issue.errors.flatMap(([first]) => (first ? describeExpected(first) : []))),
      ])
    case 'unrecognized_keys':
      return `no key ${orList(issue.keys.map((key) => JSON.stringify(key)))}`
    case 'custom':
  }
  return ownMessage(issue.message) ?? 'something else'
}
