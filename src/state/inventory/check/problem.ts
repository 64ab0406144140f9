import { UserError } from '../../../errors.ts'

/** A problem in an inventory's text. */
export interface Problem {
  /** Position in UTF-16 code units. */
  readonly offset: number
  /** The message, which starts with the path in the data if that is known. */
  readonly message: string
}

const maxListed = 10

/** Maximum number of problems to find: finding each one takes time, and users only read the first ones. */
export const maxProblems = 100

/** Returns the message for a hidden character, using its name from `findHidden`. */
export const describeHidden = (character = ''): string =>
  `the character ${character} is not allowed here: it is invisible, or changes how the surrounding text is displayed`

/** Formats an offset as `LINE:COLUMN`, both counted from 1. */
function lineAndColumn(text: string, offset: number): string {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return `${before.split('\n').length}:${offset - lineStart + 1}`
}

/** Formats problems as lines `FILE:LINE:COLUMN: what`, in the order of the file. */
export function listProblems(
  file: string,
  text: string,
  problems: readonly Problem[],
): readonly string[] {
  const distinct = new Map(problems.map((problem) => [Object.values(problem).join(), problem]))
  const sorted = [...distinct.values()].sort((a, b) => a.offset - b.offset)
  const listed = sorted
    .slice(0, maxListed)
    .map(({ offset, message }) => `${file}:${lineAndColumn(text, offset)}: ${message}`)
  const more = sorted.length - listed.length
  return [
    ...listed,
    ...(more > 0 ? [`and ${sorted.length < maxProblems ? more : 'many'} more like these`] : []),
  ]
}

/** Creates a single error that lists all problems. */
export const inventoryError = (
  file: string,
  text: string,
  problems: readonly Problem[],
  hint?: string,
): UserError => new UserError('inventory', listProblems(file, text, problems).join('\n'), { hint })
