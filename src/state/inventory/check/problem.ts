import { UserError } from '../../../errors.ts'

/** Something wrong in an inventory's text. */
export interface Problem {
  /** Where, in UTF-16 units from the beginning. */
  readonly offset: number
  /** What, beginning with the place in the data where that is known. */
  readonly message: string
}

const mostListed = 10

/** So many problems are looked for: in a file that is wrong all over, each costs time, and the person reads the first ones. */
export const mostFound = 100

/** What is wrong with a hidden character, as `findHidden` names it. */
export const describeHidden = (character = ''): string =>
  `the character ${character} is not allowed here: it is invisible, or changes how the text around it is displayed`

/** `LINE:COLUMN` of an offset, both from 1. */
function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return `${before.split('\n').length}:${offset - lineStart + 1}`
}

/** The problems, a line each as `FILE:LINE:COLUMN: what`, in the order of the file. */
export function listProblems(
  file: string,
  text: string,
  problems: readonly Problem[],
): readonly string[] {
  const distinct = new Map(problems.map((problem) => [Object.values(problem).join(), problem]))
  const sorted = [...distinct.values()].sort((a, b) => a.offset - b.offset)
  const listed = sorted
    .slice(0, mostListed)
    .map(({ offset, message }) => `${file}:${placeOf(text, offset)}: ${message}`)
  const more = sorted.length - listed.length
  return [
    ...listed,
    ...(more > 0 ? [`and ${sorted.length < mostFound ? more : 'many'} more like these`] : []),
  ]
}

/** The problems as one error. */
export const inventoryError = (
  file: string,
  text: string,
  problems: readonly Problem[],
  hint?: string,
): UserError => new UserError('inventory', listProblems(file, text, problems).join('\n'), { hint })
