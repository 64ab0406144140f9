import { isMap, isScalar } from 'yaml'
import type { YAMLMap } from 'yaml'
import { findPair, keyOf, pairsOf, type InventoryDocument } from '../inventory/document.ts'
import { applyEdits, type Edit } from '../yaml/edit-mapping.ts'
import { endOfLines, endOfPair, isBlankLine, nextLine, startOfLines } from '../yaml/layout.ts'

/** The sections of an inventory whose entries are merged one by one. */
export const sections = ['operators', 'profiles', 'stacks', 'swarms', 'machines'] as const
/** The name of a section. */
export type Section = (typeof sections)[number]

/** The lines of one entry, including the comments above it. */
export interface Block {
  readonly name: string
  /** The text without the final line break. */
  readonly text: string
  /** The blank lines above it. */
  readonly gap: string
}

/**
 * The entries of an inventory's text, and the other lines with a placeholder for the entries of
 * each section.
 */
export interface SplitInventory {
  readonly skeleton: string
  readonly blocks: ReadonlyMap<Section, readonly Block[]>
}

/**
 * The line that replaces the entries of a section. YAML does not allow this character, so no inventory contains such a
 * line.
 */
const placeholder = (section: Section): string => `\u0001${section}`

function blocksOf(text: string, map: YAMLMap): readonly Block[] {
  const pairs = pairsOf(map)
  return pairs.map((pair, index) => {
    const above = pairs[index - 1]
    let start = above ? nextLine(text, endOfLines(text, above)) : startOfLines(text, pair)
    const from = start
    while (isBlankLine(text, start)) start = nextLine(text, start)
    const end = nextLine(text, endOfLines(text, pair))
    return {
      name: keyOf(pair),
      text: text.slice(start, end).trimEnd(),
      gap: text.slice(from, start),
    }
  })
}

/** Splits a text; `undefined` if a section is not in block style, as in JSON or if it is an alias. */
export function splitInventory({ text, root }: InventoryDocument): SplitInventory | undefined {
  const { contents } = root
  if (!isMap(contents) || contents.flow || !text.endsWith('\n')) return undefined
  const blocks = new Map<Section, readonly Block[]>()
  const edits: Edit[] = []
  for (const section of sections) {
    const pair = findPair(contents, section)
    if (pair === undefined) continue
    const { value } = pair
    const isEmpty = value === null || (isScalar(value) && value.value === null)
    const line = `${placeholder(section)}\n`
    if (isEmpty || (isMap(value) && value.items.length === 0)) {
      const colon = text.indexOf(':', pair.key.range[1]) + 1
      const next = nextLine(text, colon)
      edits.push({ start: colon, end: endOfPair(text, pair), text: '' })
      edits.push({ start: next, end: next, text: line })
      blocks.set(section, [])
      continue
    }
    const [first, last] = isMap(value) ? [pairsOf(value)[0], pairsOf(value).at(-1)] : []
    if (!isMap(value) || value.flow || first === undefined || last === undefined) return undefined
    const start = startOfLines(text, first)
    edits.push({ start, end: nextLine(text, endOfLines(text, last)), text: line })
    blocks.set(section, blocksOf(text, value))
  }
  return { skeleton: applyEdits(text, edits), blocks }
}

const plainHeading = (section: Section): string => `${section}:\n${placeholder(section)}\n`

/**
 * Returns the other lines without the headings of sections that are not in `known`, because the two sides may add
 * different headings in the same place.
 */
export function withoutNewHeadings(
  { skeleton }: SplitInventory,
  known: ReadonlySet<Section>,
): string {
  return sections
    .filter((section) => !known.has(section))
    .reduce((text, section) => text.replace(plainHeading(section), ''), skeleton)
}

/** Adds a heading, above the machines, for each section that has entries but no heading. */
export function withHeadings(skeleton: string, blocks: SplitInventory['blocks']): string {
  const missing = sections.filter(
    (section) => (blocks.get(section) ?? []).length > 0 && !skeleton.includes(placeholder(section)),
  )
  const headings = missing.map(plainHeading).join('')
  const at = skeleton.search(/^machines:/m)
  const above = at < 0 ? skeleton : skeleton.slice(0, at)
  return `${above}${headings}${at < 0 ? '' : skeleton.slice(at)}`
}

/** The inverse of {@link splitInventory}. */
export function joinInventory({ skeleton, blocks }: SplitInventory): string {
  let text = skeleton
  for (const [section, entries] of blocks) {
    const line = `${placeholder(section)}\n`
    const lines = entries.map(({ text, gap }) => `${gap}${text}\n`).join('')
    if (lines === '')
      text = text.replace(new RegExp(`^${section}:`, 'm'), (heading) => `${heading} {}`)
    text = text.replace(line, () => lines)
  }
  return text
}
