import { isDeepStrictEqual } from 'node:util'
import type { MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { parseInventoryDocument } from '../inventory/document.ts'
import { compareNames, dataWith, editInventory, editsFor } from './edit-entry.ts'
import { readPlainInventory, type PlainInventory } from './fast-yaml.ts'
import { applyEdits, type Edit } from './edit-mapping.ts'

/** A part of a text that an excerpt contains; `at` is its position in the excerpt. */
interface Part {
  readonly start: number
  readonly end: number
  readonly at: number
}

/**
 * Returns the indices of entries that an edit of `name` depends on: the first two determine the layout, a new entry
 * follows the name that sorts before it, and comments between entries can belong to either.
 */
function neighbors(names: readonly string[], name: string): ReadonlySet<number> {
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

/** Returns the parts of a text, without the entries that an edit of `name` does not depend on. */
function partsAround(text: string, { entries, end }: PlainInventory, name: string): Part[] {
  const kept = neighbors(
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

/** Moves an edit from the excerpt to the whole text; `undefined` if it crosses the boundary of a part. */
function moveEdit(parts: readonly Part[], { start, end, text }: Edit): Edit | undefined {
  const part = parts.find((part) => part.at <= start && end <= part.at + part.end - part.start)
  if (part === undefined) return undefined
  const shift = part.start - part.at
  return { start: start + shift, end: end + shift, text }
}

/**
 * Returns the whole text after an edit that was computed on an excerpt; `undefined` if the result is not as expected.
 * The excerpt omits only complete entries of a plain text, which do not affect the meaning of the other lines.
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
  const edited = readPlainInventory(applyEdits(excerpt, edits))?.data
  if (!isDeepStrictEqual(edited, dataWith(document.data, name, entry))) return undefined
  const moved = edits.map((edit) => moveEdit(parts, edit))
  return moved.every((edit) => edit !== undefined) ? applyEdits(text, moved) : undefined
}

/**
 * Sets or removes one machine's entry in the text of `file`, like {@link editInventory}. In a plain layout, it only
 * parses the surrounding entries, so that editing a large inventory is not much slower. The result is parsed and
 * compared.
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
