import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../errors.ts'
import type { Versions } from './git.ts'
import {
  joinInventory,
  sections,
  splitInventory,
  withHeadings,
  withoutNewHeadings,
  type Block,
  type Section,
  type SplitInventory,
} from './blocks.ts'
import { parseInventoryDocument, type InventoryDocument } from '../inventory/document.ts'
import { compareNames } from '../yaml/edit-entry.ts'
import { mergeEntry, type MergeLines, type ParsedEntry } from './merge-entry.ts'
import { lineBreakOf } from '../yaml/layout.ts'

/** The result of merging an inventory. */
export interface MergedInventory {
  readonly text: string
  /** Conflicts that the user must resolve. In the text, they are between markers. */
  readonly conflicts: readonly string[]
}

/** One side of a merge. */
interface Side extends SplitInventory {
  readonly document: InventoryDocument
}

type Sides = Readonly<Record<keyof Versions, Side>>

function readSide(text: string): Side | undefined {
  try {
    const document = parseInventoryDocument(text.endsWith('\n') ? text : `${text}\n`, '')
    const split = splitInventory(document)
    return split && { ...split, document }
  } catch (error) {
    if (error instanceof UserError) return undefined // a merge of all lines may still succeed
    throw error
  }
}

const dataIn = ({ data }: InventoryDocument, section: Section): Readonly<Record<string, unknown>> =>
  (data as Partial<Record<Section, Record<string, unknown> | null>>)[section] ?? {}

const namesIn = ({ blocks }: Side, section: Section): readonly string[] =>
  (blocks.get(section) ?? []).map(({ name }) => name)

function entryIn(side: Side, section: Section, name: string): ParsedEntry | undefined {
  const block = side.blocks.get(section)?.find((block) => block.name === name)
  return block && { text: block.text, data: dataIn(side.document, section)[name] }
}

/**
 * Returns the position at which to insert a name that only the other side has: machines are sorted by name, other
 * entries follow their predecessor on that side.
 */
function indexFor(
  section: Section,
  name: string,
  order: readonly string[],
  theirs: readonly string[],
): number {
  if (section === 'machines') {
    const sorted = [...order].sort(compareNames)
    const above = sorted.findLast((other) => compareNames(other, name) < 0)
    return above === undefined
      ? Math.max(0, order.indexOf(sorted[0] ?? ''))
      : order.indexOf(above) + 1
  }
  const before = theirs.slice(0, theirs.indexOf(name)).findLast((other) => order.includes(other))
  return before === undefined ? 0 : order.indexOf(before) + 1
}

/** Returns the names on both sides: our names in our order, with the names that only their side has inserted. */
function mergeOrder({ ours, theirs }: Sides, section: Section): readonly string[] {
  const order = [...namesIn(ours, section)]
  const added = namesIn(theirs, section)
  for (const name of added) {
    if (!order.includes(name)) order.splice(indexFor(section, name, order, added), 0, name)
  }
  return order
}

/**
 * Returns the blank lines above an entry: none above the first entry, else the blank lines that a side has above it or,
 * by default, above another entry.
 */
function gapFor(sides: Sides, section: Section, name: string, isFirst: boolean): string {
  if (isFirst) return ''
  const all = [sides.ours, sides.theirs].map(({ blocks }) => blocks.get(section) ?? [])
  const own = all
    .map((blocks) => blocks.findIndex((block) => block.name === name))
    .map((index, side) => (index > 0 ? all[side]?.[index]?.gap : undefined))
    .find((gap) => gap !== undefined)
  const usual = all.map((blocks) => blocks[1]?.gap).find((gap) => gap !== undefined)
  return own ?? usual ?? '\n'
}

interface MergedSection {
  readonly blocks: readonly Block[]
  readonly conflicts: readonly string[]
}

async function mergeSection(
  sides: Sides,
  section: Section,
  mergeLines: MergeLines,
): Promise<MergedSection> {
  const blocks: Block[] = []
  const conflicts: string[] = []
  for (const name of mergeOrder(sides, section)) {
    const [base, ours, theirs] = [sides.base, sides.ours, sides.theirs].map((side) =>
      entryIn(side, section, name),
    )
    const merged = await mergeEntry(name, { section, base, ours, theirs }, mergeLines)
    if (merged.text === undefined) continue
    if ('conflict' in merged) conflicts.push(merged.conflict)
    const gap = gapFor(sides, section, name, blocks.length === 0)
    blocks.push({ name, text: merged.text, gap })
  }
  return { blocks, conflicts }
}

/** Returns the line break of the result: ours, unless only theirs differs from the base. */
function mergeLineBreaks({ base, ours, theirs }: Versions): string {
  const [before, ourBreak, theirBreak] = [base, ours, theirs].map(lineBreakOf)
  return (ourBreak === before ? theirBreak : ourBreak) ?? '\n'
}

const withLineFeeds = (text: string): string => text.replaceAll('\r\n', '\n')

/**
 * Merges an inventory entry by entry, so that changes to different machines never conflict. The other lines are merged
 * line by line, as git does, and so is the whole text if one of the sides is not an inventory in block style. Windows
 * line breaks are kept.
 */
export async function mergeInventories(
  versions: Versions,
  mergeLines: MergeLines,
): Promise<MergedInventory> {
  const { base, ours, theirs } = versions
  const merged = await mergeTexts(
    { base: withLineFeeds(base), ours: withLineFeeds(ours), theirs: withLineFeeds(theirs) },
    mergeLines,
  )
  const lineBreak = mergeLineBreaks(versions)
  return { ...merged, text: merged.text.replaceAll('\n', lineBreak) }
}

async function mergeTexts(versions: Versions, mergeLines: MergeLines): Promise<MergedInventory> {
  const byLines = async (): Promise<MergedInventory> => {
    const { text, isClean } = await mergeLines(versions)
    return { text, conflicts: isClean ? [] : ['both sides changed the same lines'] }
  }
  const [base, ours, theirs] = [versions.base, versions.ours, versions.theirs].map(readSide)
  if (base === undefined || ours === undefined || theirs === undefined) return byLines()
  const sides = { base, ours, theirs }
  const known = new Set(base.blocks.keys())
  const skeleton = await mergeLines({
    base: base.skeleton,
    ours: withoutNewHeadings(ours, known),
    theirs: withoutNewHeadings(theirs, known),
  })
  const merged = await Promise.all(
    sections.map(
      async (section) => [section, await mergeSection(sides, section, mergeLines)] as const,
    ),
  )
  const blocks = new Map(merged.map(([section, { blocks }]) => [section, blocks]))
  const text = joinInventory({ skeleton: withHeadings(skeleton.text, blocks), blocks })
  const conflicts = [
    ...(skeleton.isClean ? [] : ['both sides changed the same lines outside of entries']),
    ...merged.flatMap(([, { conflicts }]) => conflicts),
  ]
  return conflicts.length > 0 || hasExactEntries(text, blocks) ? { text, conflicts } : byLines()
}

/** Whether a merged text contains exactly the expected entries. */
function hasExactEntries(text: string, blocks: ReadonlyMap<Section, readonly Block[]>): boolean {
  const read = readSide(text)
  return (
    read !== undefined &&
    [...blocks].every(([section, wanted]) =>
      isDeepStrictEqual(
        Object.keys(dataIn(read.document, section)).sort(),
        wanted.map(({ name }) => name).sort(),
      ),
    )
  )
}
