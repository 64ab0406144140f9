import { type Canvas, cellWidth, fitCells } from '../../../ui/screen/canvas.ts'
import { type Look, styleOf } from '../../../ui/screen/palette.ts'
import { drawBar, sparkline } from '../../../ui/screen/pictures.ts'
import type { List } from '../list.ts'
import type { Model } from '../model/model.ts'
import type { Cell, Row, View } from '../views/view.ts'

/** A column and its position. */
interface Placed {
  readonly index: number
  readonly x: number
  readonly width: number
}

/** The number of cells between columns. */
const gap = 1

/** The number of cells before the first column, where the mark of a marked row is drawn. */
const margin = 2

/**
 * Returns the columns that fit into the window. Columns with the highest `drop` are left out first, and the remaining
 * width is shared among the others.
 */
function placeColumns({ columns }: View, room: number): readonly Placed[] {
  let kept = columns.map((column, index) => ({ ...column, index }))
  const widthOf = (some: typeof kept): number =>
    some.reduce((sum, { width }) => sum + width + gap, -gap)
  while (widthOf(kept) > room) {
    const last = Math.max(...kept.map(({ drop = 0 }) => drop))
    if (last === 0) break
    kept = kept.filter(({ drop = 0 }) => drop !== last)
  }
  const rest = Math.max(0, room - widthOf(kept))
  const shares = kept.reduce((sum, { grow = 0 }) => sum + grow, 0)
  let x = margin
  return kept.map(({ index, width, grow = 0 }) => {
    const wide = width + (shares === 0 ? 0 : Math.floor((rest * grow) / shares))
    const placed = { index, x, width: wide }
    x += wide + gap
    return placed
  })
}

const ellipsisOf = ({ unicode }: Look): string => (unicode ? '…' : '~')

/**
 * Draws one cell of a table. `style` is the style of the row; if undefined, the cell is drawn in the style of its tone.
 */
function drawCell(
  canvas: Canvas,
  look: Look,
  { cell, x, y, width, right }: { cell: Cell; x: number; y: number; width: number; right: boolean },
  style: string | undefined,
): void {
  const painted = style ?? styleOf(look, cell.tone ?? 'plain')
  if (cell.spark !== undefined) {
    canvas.put(x, y, sparkline(look, cell.spark, width, 1), style ?? styleOf(look, 'accent'), width)
    return
  }
  const text = fitCells(cell.text, width, ellipsisOf(look))
  if (cell.bar !== undefined && cell.text !== '') {
    const bar = width - cellWidth(text) - 1
    if (bar > 1) {
      drawBar(canvas, look, {
        x,
        y,
        width: bar,
        share: cell.bar,
        ...(style !== undefined && { style }),
      })
    }
    canvas.put(x + Math.max(0, bar + 1), y, text, painted, width)
    return
  }
  canvas.put(right ? x + Math.max(0, width - cellWidth(text)) : x, y, text, painted, width)
}

interface RowPlace {
  readonly y: number
  readonly isSelected: boolean
  readonly isMarked: boolean
  readonly placed: readonly Placed[]
}

function drawRow(
  canvas: Canvas,
  { look }: Model,
  row: Row,
  { y, isSelected, isMarked, placed }: RowPlace,
): void {
  const style = isSelected
    ? styleOf(look, 'selected')
    : row.isStale
      ? styleOf(look, 'dim')
      : undefined
  if (isSelected) canvas.put(0, y, ' '.repeat(canvas.columns), style)
  if (isMarked) canvas.put(0, y, look.unicode ? '●' : '*', style ?? styleOf(look, 'marked'))
  else if (isSelected) canvas.put(0, y, '>', style)
  for (const { index, x, width } of placed) {
    const right = row.view.columns[index]?.right === true
    drawCell(canvas, look, { cell: row.cell(index), x, y, width, right }, style)
  }
}

/** Draws the headings of a table, and the rows below them. */
export function drawTable(canvas: Canvas, model: Model, list: List, y: number): void {
  const { look } = model
  const { view, state, lines, top, height, cursor } = list
  const placed = placeColumns(view, canvas.columns - margin)
  for (const { index, x, width } of placed) {
    const column = view.columns[index]
    const isSorted = index === state.sort
    const mark = isSorted ? (state.isReversed ? '^' : 'v') : ''
    const title = fitCells(`${column?.title ?? ''}${mark}`, width, ellipsisOf(look))
    const at = column?.right === true ? x + Math.max(0, width - title.length) : x
    canvas.put(at, y, title, styleOf(look, isSorted ? 'title' : 'dim'), width)
  }
  for (const [offset, line] of lines.slice(top, top + height).entries()) {
    const at = y + 1 + offset
    if ('heading' in line) {
      const text = `${line.heading} (${line.count})`
      canvas.put(0, at, fitCells(text, canvas.columns, ellipsisOf(look)), styleOf(look, 'title'))
      continue
    }
    drawRow(canvas, model, line.row, {
      ...{ y: at, placed, isSelected: line.index === cursor },
      isMarked: state.marked.has(line.row.id),
    })
  }
  if (lines.length > 0) return
  canvas.put(margin, y + 1, emptyText(model, list), styleOf(look, 'dim'))
}

/** Returns a text that says why a table is empty. */
function emptyText({ machines, view, swarms }: Model, { all, state }: List): string {
  if (all > 0) return `No ${view} match ${state.filter} (Esc clears the filter).`
  if (view === 'events') return 'No events yet.'
  if (view === 'services') {
    const [first] = swarms.values()
    if (first === undefined) return 'None of these machines belong to a swarm in the inventory.'
    const unread = [...swarms.values()].filter(({ services }) => services === undefined)
    if (unread.length > 0) return unread.find(({ reason }) => reason)?.reason ?? 'Reading …'
  }
  const isConnecting = [...machines.values()].some(({ phase }) => phase === 'connecting')
  return isConnecting ? 'Connecting …' : `No ${view}.`
}
