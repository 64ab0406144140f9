import { isDeepStrictEqual } from 'node:util'
import type { MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { parseInventoryDocument } from '../inventory/document.ts'
import { compareNames, dataWith, editInventory, editsFor } from './edit-entry.ts'
import { readPlainInventory, type PlainInventory } from './fast-yaml.ts'
import { applyEdits, type Edit } from './edit.ts'

/** A part of a text that an excerpt keeps, and where in the excerpt it stands. */
interface Part {
  readonly start: number
  readonly end: number
  readonly at: number
}

/**
 * The entries that an edit of `name` looks at, by index: the first two tell the layout, a new entry stands
 * after the name that sorts before it or before all, and comments between entries belong to either.
 */
function neighbours(names: readonly string[], name: string): ReadonlySet<number> {
  const own = names.indexOf(name)
  let above = -1
  let first = 0
  if (own < 0) {
    for (const [index, other] of names.entries()) {
      const isBelowBest = above >= 0 && compareNames(other, names[above] ?? '') < 0
      if (compareNames(other, name) < 0 && !isBelowBest) above = index
      if (compareNames(other, names[first] ?? '') < 0) first = index
    }
  }
  const middle = [own, above].find((index) => index >= 0) ?? first
  return new Set(
    [0, 1, middle - 1, middle, middle + 1].filter((index) => index >= 0 && index < names.length),
  )
}

/** The parts of a text without the entries that an edit of `name` has nothing to do with. */
function partsAround(text: string, { entries, end }: PlainInventory, name: string): Part[] {
  const kept = neighbours(
    entries.map((entry) => entry.name),
    name,
  )
  const spans = [
    { start: 0, end: entries[0]?.start ?? end },
    ...[...kept]
      .sort((a, b) => a - b)
      .map((index) => ({
        start: entries[index]?.start ?? end,
        end: entries[index + 1]?.start ?? end,
      })),
    { start: end, end: text.length },
  ]
  const parts: Part[] = []
  for (const span of spans) {
    const last = parts.at(-1)
    if (last?.end === span.start) parts.splice(-1, 1, { ...last, end: span.end })
    else parts.push({ ...span, at: last === undefined ? 0 : last.at + last.end - last.start })
  }
  return parts
}

/** An edit of the excerpt as one of the whole text; undefined where it reaches across a cut. */
function moveEdit(parts: readonly Part[], { start, end, text }: Edit): Edit | undefined {
  const part = parts.find((part) => part.at <= start && end <= part.at + part.end - part.start)
  if (part === undefined) return undefined
  const shift = part.start - part.at
  return { start: start + shift, end: end + shift, text }
}

/**
 * The whole text after an edit that was worked out on an excerpt, if that comes out as wanted. What the excerpt
 * leaves out begins and ends where entries of a plain text do, so it means the same wherever it stands.
 */
function editPlain(
  text: string,
  plain: PlainInventory,
  [name, entry]: readonly [MachineName, MachineEntry | undefined],
  file: string,
): string | undefined {
  if (plain.entries.length === 0) return undefined
  const parts = partsAround(text, plain, name)
  const excerpt = parts.map(({ start, end }) => text.slice(start, end)).join('')
  const document = parseInventoryDocument(excerpt, file)
  const edits = editsFor(document, name, entry)
  const said = readPlainInventory(applyEdits(excerpt, edits))?.data
  if (!isDeepStrictEqual(said, dataWith(document.data, name, entry))) return undefined
  const moved = edits.map((edit) => moveEdit(parts, edit))
  return moved.every((edit) => edit !== undefined) ? applyEdits(text, moved) : undefined
}

/**
 * The text of `file` with one machine's entry made `entry`, or removed, as {@link editInventory} does it. In a
 * plain layout it looks only at the entries around, so that a large inventory costs little more than a small one.
 * What it changed is read again and compared.
 */
export function editInventoryText(
  text: string,
  name: MachineName,
  entry: MachineEntry | undefined,
  file: string,
): string {
  const plain = readPlainInventory(text)
  return (
    (plain && editPlain(text, plain, [name, entry], file)) ??
    editInventory(parseInventoryDocument(text, file), name, entry, file)
  )
}
