import type { Canvas } from './canvas.ts'

/** Returns which cells in a row have changed; undefined if none have. */
function changedCells(before: Canvas, after: Canvas, row: number): boolean[] | undefined {
  const { columns } = after
  const from = row * columns
  let changed: boolean[] | undefined
  for (let x = 0; x < columns; x += 1) {
    const index = from + x
    if (
      before.texts[index] === after.texts[index] &&
      before.styles[index] === after.styles[index]
    ) {
      continue
    }
    changed ??= Array.from({ length: columns }, () => false)
    changed[x] = true
    // A terminal erases both halves of a wide character when one of them is overwritten.
    if (x > 0 && (before.texts[index] === '' || after.texts[index] === '')) changed[x - 1] = true
    if (x + 1 < columns && (before.texts[index + 1] === '' || after.texts[index + 1] === '')) {
      changed[x + 1] = true
    }
  }
  return changed
}

/**
 * The maximum length of a gap of unchanged cells between two changed cells that is simply written again. Longer gaps
 * are skipped by moving the cursor.
 */
const shortestSkip = 6

/**
 * Returns the sequence that moves the cursor. In the sequence, rows and columns are counted from 1 (CUP, ECMA-48
 * 8.3.21).
 */
const moveTo = (x: number, y: number): string => `\u001B[${y + 1};${x + 1}H`

/**
 * Returns the control sequences and texts that change what a terminal shows from the picture `before` to the picture
 * `after`. Without `before`, every cell is written. The sequences move the cursor, but do not clear or scroll anything.
 */
export function drawChanges(before: Canvas | undefined, after: Canvas): string {
  const { columns, rows } = after
  const isSameSize = before !== undefined && before.columns === columns && before.rows === rows
  const parts: string[] = []
  let style = ''
  for (let y = 0; y < rows; y += 1) {
    const changed = isSameSize ? changedCells(before, after, y) : undefined
    if (isSameSize && changed === undefined) continue
    let cursor = -1
    for (let x = 0; x < columns; x += 1) {
      if (changed !== undefined && changed[x] !== true) continue
      const index = y * columns + x
      const text = after.texts[index] ?? ' '
      if (text === '') continue // written with the cell before it
      const isNear = cursor !== -1 && x >= cursor && x - cursor <= shortestSkip
      const first = isNear ? cursor : x
      if (!isNear) parts.push(moveTo(x, y))
      for (let at = first; at <= x; at += 1) {
        const cell = y * columns + at
        const written = after.texts[cell] ?? ' '
        if (written === '') continue
        const wanted = after.styles[cell] ?? ''
        if (wanted !== style) {
          parts.push(`\u001B[0${wanted === '' ? '' : `;${wanted}`}m`)
          style = wanted
        }
        parts.push(written)
      }
      const isWide = x + 1 < columns && after.texts[index + 1] === ''
      // Terminals disagree about the width of some characters, so the cursor is positioned again after a wide one.
      cursor = isWide ? -1 : x + 1
    }
  }
  if (style !== '') parts.push('\u001B[0m')
  return parts.join('')
}
