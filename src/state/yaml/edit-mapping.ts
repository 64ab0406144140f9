import { isDeepStrictEqual } from 'node:util'
import { isCollection, isMap } from 'yaml'
import type { ParsedNode, YAMLMap } from 'yaml'
import { findPair, keyOf, mergesKeys, pairsOf, type ParsedPair } from '../inventory/document.ts'
import {
  columnOf,
  endOfLines,
  endOfPair,
  isBlankLine,
  lineBreakOf,
  lineEnd,
  lineStart,
  nextLine,
  startOfLines,
  visible,
} from './layout.ts'
import { isObject, renderBlock, renderInline, renderInlinePair, renderPair } from './render.ts'

/** A replacement of a part of a text. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** A text, and its number of spaces per indentation level. */
export interface Layout {
  readonly text: string
  readonly unit: number
}

type Values = Readonly<Record<string, unknown>>

/** Applies edits that do not overlap. Edits at the same position are applied in the given order. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = ''
  let done = 0
  for (const edit of [...edits].sort((a, b) => a.start - b.start || a.end - b.end)) {
    result += text.slice(done, edit.start) + edit.text
    done = edit.end
  }
  return result + text.slice(done)
}

/** Inserts lines after the line that contains `offset`. */
export function addLinesAfter(text: string, offset: number, lines: readonly string[]): Edit {
  const at = lineEnd(text, offset)
  const lineBreak = lineBreakOf(text)
  return { start: at, end: at, text: lines.map((line) => lineBreak + line).join('') }
}

/** Removes a pair of a block map, together with its comments and the blank lines above or below it. */
export function removeLines(text: string, pair: ParsedPair): Edit {
  let start = startOfLines(text, pair)
  let end = nextLine(text, endOfLines(text, pair))
  const gapAbove = start > 0 && isBlankLine(text, lineStart(text, start - 1))
  if (gapAbove && !visible.test(text.slice(end))) {
    while (start > 0 && isBlankLine(text, lineStart(text, start - 1)))
      start = lineStart(text, start - 1)
  } else if (gapAbove || !startsAfterSibling(text, start, pair)) {
    while (isBlankLine(text, end)) end = nextLine(text, end)
  }
  const unended = end === text.length && !text.endsWith('\n')
  return { start: unended ? lineEnd(text, start - 1) : start, end, text: '' }
}

/** Whether the line above is indented at least as deeply as the pair, and is therefore not its parent. */
function startsAfterSibling(text: string, start: number, { key }: ParsedPair): boolean {
  const above = lineStart(text, start - 1)
  return text.slice(above, start).search(visible) >= columnOf(text, key.range[0])
}

/** Replaces a value in the style of the old one: on the same line, or in block style. */
function replaceValue(
  { text, unit }: Layout,
  pair: ParsedPair,
  value: unknown,
  inFlow: boolean,
): Edit {
  const node = pair.value
  const end = endOfPair(text, pair)
  if (node === null || node.range[0] === node.range[1]) {
    return { start: end, end, text: ` ${renderInline(value, inFlow)}` }
  }
  const start = node.range[0]
  const isBlock = isCollection(node) && !node.flow
  const fits = isMap(node) ? isObject(value) : Array.isArray(value)
  if (isBlock && fits && Object.keys(value as object).length > 0) {
    const indent = columnOf(text, start)
    const lines = renderBlock(value, indent, unit).join(lineBreakOf(text))
    return { start, end, text: lines.slice(indent) }
  }
  if (!isBlock) return { start, end, text: renderInline(value, inFlow) }
  const colon = text.indexOf(':', pair.key.range[1]) + 1
  return { start: colon, end, text: ` ${renderInline(value)}` }
}

/** Returns the edits for a changed value; if both values are maps, only for the changed keys. */
function changeValue(
  layout: Layout,
  pair: ParsedPair,
  [before, after]: readonly [unknown, unknown],
  inFlow: boolean,
): readonly Edit[] {
  if (isDeepStrictEqual(before, after)) return []
  const { value: node } = pair
  const areObjects = isMap(node) && isObject(before) && isObject(after)
  if (areObjects && (node.flow || pairsOf(node).some((kept) => isKept(kept, after)))) {
    return changeMap(layout, node, before, after)
  }
  return [replaceValue(layout, pair, after, inFlow)]
}

/**
 * Whether a pair is kept. Merge keys are always kept, because removing one could change merged
 * keys.
 */
const isKept = (pair: ParsedPair, after: Values): boolean =>
  mergesKeys(pair) || Object.hasOwn(after, keyOf(pair))

function changeFlowMap(
  { text }: Layout,
  map: YAMLMap,
  after: Values,
  added: readonly string[],
): readonly Edit[] {
  const pairs = pairsOf(map)
  const lastKept = pairs.findLastIndex((pair) => isKept(pair, after))
  const removed = pairs.slice(0, lastKept).flatMap((pair, index): Edit[] => {
    const next = pairs[index + 1]
    if (isKept(pair, after) || next === undefined) return []
    return [{ start: pair.key.range[0], end: next.key.range[0], text: '' }]
  })
  const last = pairs.at(-1)
  const kept = pairs[lastKept]
  if (last === undefined || kept === undefined) {
    const [start, end] = (map as ParsedNode & YAMLMap).range
    const fresh = Object.fromEntries(added.map((key) => [key, after[key]]))
    return [{ start, end, text: renderInline(fresh) }]
  }
  const tail = added.map((key) => `, ${renderInlinePair(key, after[key])}`).join('')
  const start = endOfPair(text, kept)
  return [...removed, { start, end: endOfPair(text, last), text: tail }]
}

function changeBlockMap(
  layout: Layout,
  map: YAMLMap,
  after: Values,
  added: readonly string[],
): readonly Edit[] {
  const { text, unit } = layout
  const pairs = pairsOf(map)
  const order = Object.keys(after)
  const [first] = pairs
  const indent = first ? columnOf(text, first.key.range[0]) : 0
  const removed = pairs
    .filter((pair) => !isKept(pair, after))
    .map((pair) => removeLines(text, pair))
  const inserted = added.map((key) => {
    const earlier = order.slice(0, order.indexOf(key))
    const before =
      key === order.at(-1) ? undefined : earlier.findLast((name) => findPair(map, name))
    const above = (before !== undefined && findPair(map, before)) || pairs.at(-1)
    const lines = renderPair(key, after[key], indent, unit)
    return addLinesAfter(text, above ? endOfPair(text, above) : 0, lines)
  })
  return [...removed, ...inserted]
}

/**
 * Returns the edits that change the values of `map` from `before` to `after`, keeping unchanged keys. New keys are
 * inserted at their positions in `after`. A block map must keep at least one key.
 */
export function changeMap(
  layout: Layout,
  map: YAMLMap,
  before: Values,
  after: Values,
): readonly Edit[] {
  const inFlow = map.flow === true
  const changed = pairsOf(map).flatMap((pair) => {
    const key = keyOf(pair)
    return Object.hasOwn(after, key)
      ? changeValue(layout, pair, [before[key], after[key]], inFlow)
      : []
  })
  const added = Object.keys(after).filter(
    (key) => findPair(map, key) === undefined && !isDeepStrictEqual(before[key], after[key]),
  )
  const removes = pairsOf(map).some((pair) => !isKept(pair, after))
  if (added.length === 0 && !removes) return changed
  const changeByStyle = inFlow ? changeFlowMap : changeBlockMap
  return [...changed, ...changeByStyle(layout, map, after, added)]
}
