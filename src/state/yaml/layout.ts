import { isMap, isPair, isSeq } from 'yaml'
import type { ParsedNode } from 'yaml'
import type { ParsedPair } from '../inventory/document.ts'

/**
 * Matches a visible character: white space is defined as in YAML 1.2, 5.4 and 5.5; JavaScript's `\s` includes more
 * characters.
 */
export const visible = /[^ \t\r\n]/

/** Start of the line that contains `offset`. */
export const lineStart = (text: string, offset: number): number =>
  text.lastIndexOf('\n', offset - 1) + 1

/** End of the line that contains `offset`, before its line break. */
export function lineEnd(text: string, offset: number): number {
  const feed = text.indexOf('\n', offset)
  if (feed < 0) return text.length
  return feed > offset && text[feed - 1] === '\r' ? feed - 1 : feed
}

/** Start of the line after the one that contains `offset`; the end of the text if there is none. */
export function nextLine(text: string, offset: number): number {
  const feed = text.indexOf('\n', offset)
  return feed < 0 ? text.length : feed + 1
}

const byteOrderMark = '\uFEFF'

/** Column of `offset` in its line, not counting a byte order mark. */
export function columnOf(text: string, offset: number): number {
  const start = lineStart(text, offset)
  const mark = start === 0 && text.startsWith(byteOrderMark) ? 1 : 0
  return Math.max(0, offset - start - mark)
}

/** The line break of the text. */
export const lineBreakOf = (text: string): string => (/\r?\n/.exec(text) ?? ['\n'])[0]

const lineAt = (text: string, start: number): string => text.slice(start, lineEnd(text, start))

/** Whether the line that starts at `start` is blank. */
export const isBlankLine = (text: string, start: number): boolean =>
  start < text.length && !visible.test(lineAt(text, start))

/** Returns the column of the comment on a line that contains only a comment. */
function commentColumn(text: string, start: number): number | undefined {
  const column = lineAt(text, start).search(visible)
  return column >= 0 && text[start + column] === '#' ? column : undefined
}

/** End of the last visible character of a value, before comments and blank lines. */
function endOfNode(text: string, node: ParsedNode): number {
  if ((isMap(node) || isSeq(node)) && !node.flow) {
    const last = node.items.at(-1)
    if (last !== undefined) return isPair(last) ? endOfPair(text, last) : endOfNode(text, last)
  }
  const [start, end] = node.range
  return start + text.slice(start, end).replace(/[ \t\r\n]+$/, '').length
}

/** End of a pair, before the comment and the line break after it. */
export function endOfPair(text: string, { key, value }: ParsedPair): number {
  const end = value === null ? key.range[1] : endOfNode(text, value)
  const colon = text.slice(key.range[1]).search(visible) + key.range[1]
  return text[colon] === ':' ? Math.max(end, colon + 1) : end
}

/** Start of the lines of a block pair, including the comment lines directly above it. */
export function startOfLines(text: string, { key }: ParsedPair): number {
  const column = columnOf(text, key.range[0])
  let start = lineStart(text, key.range[0])
  while (start > 0) {
    const above = lineStart(text, start - 1)
    if (commentColumn(text, above) !== column) break
    start = above
  }
  return start
}

/** End of the lines of a block pair, including comments that are indented deeper than its key. */
export function endOfLines(text: string, pair: ParsedPair): number {
  const column = columnOf(text, pair.key.range[0])
  let end = lineEnd(text, endOfPair(text, pair))
  for (let next = nextLine(text, end); next < text.length; next = nextLine(text, next)) {
    const comment = commentColumn(text, next)
    if (comment !== undefined && comment > column) end = lineEnd(text, next)
    else if (!isBlankLine(text, next)) break
  }
  return end
}
