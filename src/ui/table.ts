import { type CellText, cellTextFor, wrapWords } from './cell-text.ts'
import { colorsOf } from './color.ts'
import { fitColumns, gap } from './fit-columns.ts'
import type { Io } from './io.ts'
import { type Styled, type Text, joinText, compose } from './styled.ts'
import { oneLine, visible } from './visible.ts'

/** A column of a table. */
export interface Column<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  /** Colors the text after it has been aligned. */
  readonly paint?: (text: string, row: Row) => Text
  /** The number of cells to reserve. For tables whose first rows are written before all rows are known. */
  readonly width?: number
  /** Whether texts are shortened only as a last resort. Set for names, IDs and other texts that people copy. */
  readonly keep?: true
  /**
   * If the terminal is too narrow, columns with the highest number are left out first. If absent, the column is never
   * left out.
   */
  readonly drop?: number
  /**
   * For the last column: whether a text that does not fit is written below the row, on lines that are broken between
   * words.
   */
  readonly wrap?: true
}

/** The width, in cells, to which a column is shortened before any column is left out. */
const readableCells = 10

/** The indentation, in cells, of lines that are written below a row. */
const wrapIndent = 4

const isBlank = (cell: Text): boolean => typeof cell === 'string' && cell.trim() === ''

/** Joins the cells of a row into a line. */
const lineOf = (cells: readonly Text[]): Styled => {
  const last = cells.at(-1) ?? ''
  const ends = typeof last === 'string' ? last.trimEnd() : last
  return compose`${joinText([...cells.slice(0, -1), ends], ' '.repeat(gap))}\n`
}

/** Formats a row for a pipe: complete texts, separated by tabs. */
const plainLine = <Row>(columns: readonly Column<Row>[], row: Row): string =>
  `${columns.map((column) => oneLine(column.text(row))).join('\t')}\n`

/**
 * The number of rows that are written to a pipe in one call. Rows are combined because a call takes longer than
 * formatting a row.
 */
const rowsAtOnce = 500

/** A text that is not ASCII. It represents cells that are not known yet, because they may not be ASCII either. */
const unknownText = '…'

/** A pattern that matches a name or ID: a single word that no program would interpret as an option. */
const nameLike = /^[^\s-]\S*$/

/**
 * Writes a name for other programs to read. Text that does not look like a name is skipped, with a message, because
 * programs could misread it.
 */
export function writeName(io: Io, name: string): void {
  if (nameLike.test(name) && visible(name) === name) io.stdout.write(`${name}\n`)
  else io.stderr.write(`${JSON.stringify(name)} was skipped: it is not a valid name\n`)
}

/** Options for the layout of a table. */
export interface TableOptions {
  /** Whether texts and columns are always complete, even if lines are then wider than the terminal. */
  readonly whole?: boolean | undefined
}

/**
 * Opens a table whose rows are written one at a time. On a terminal, the rows are aligned under a header, and no line
 * is wider than the terminal. In a pipe, the rows are complete, separated by tabs, and have no header. Columns are wide
 * enough for their titles, the `known` rows and the reserved widths. If a later text is wider, it is shortened.
 */
export const openTable = <Row>(
  io: Io,
  columns: readonly Column<Row>[],
  known: readonly Row[] = [],
  options: TableOptions = {},
): Promise<(row: Row) => void> => layOut(io, columns, known, { ...options, grows: true })

/** Returns the columns that the terminal has room for, with the widths that their `texts` need. */
function placeColumns<Row>(
  columns: readonly Column<Row>[],
  texts: readonly (readonly string[])[],
  { width }: CellText,
  { room, grows }: { readonly room: number; readonly grows: boolean },
): { readonly column: Column<Row>; readonly cells: number }[] {
  const widths = columns.map((column, index) => {
    const needed = (texts[index] ?? []).reduce((widest, text) => Math.max(widest, width(text)), 0)
    const natural = grows ? Math.max(needed, column.width ?? 0) : needed
    const title = width(column.title)
    const isWrapped = column.wrap === true && index === columns.length - 1
    const least = Math.max(title, column.keep ? natural : isWrapped ? 0 : readableCells)
    return { natural: isWrapped ? title : natural, least, drop: column.drop }
  })
  const fitted = fitColumns(widths, room)
  const shown = columns.flatMap((column, index) => {
    const cells = fitted[index]
    return cells === undefined ? [] : [{ column, cells }]
  })
  const last = shown.at(-1)
  if (last === undefined) return shown
  const before = shown.slice(0, -1)
  const used = before.reduce((all, { cells }) => all + cells + gap, 0)
  return [...before, { ...last, cells: Math.max(last.cells, room - used) }] // no column follows the last one
}

async function layOut<Row>(
  io: Io,
  columns: readonly Column<Row>[],
  known: readonly Row[],
  { whole = false, grows = false }: TableOptions & { readonly grows?: boolean },
): Promise<(row: Row) => void> {
  if (!io.stdout.isTTY) return (row) => io.stdout.write(plainLine(columns, row))
  const room = whole ? Infinity : (io.stdout.columns ?? Infinity)
  const texts = columns.map(({ title, text }) => [title, ...known.map((row) => oneLine(text(row)))])
  const cellText = await cellTextFor(grows ? [unknownText, ...texts.flat()] : texts.flat())
  const placed = placeColumns(columns, texts, cellText, { room, grows })
  const { bold } = colorsOf(io, 'stdout')
  const fit = (text: string, index: number): string => {
    const { cells } = placed[index] ?? { cells: 0 }
    if (index === placed.length - 1) return cellText.cut(text, cells)
    const isCut = room !== Infinity
    const shown = isCut ? cellText.cut(text, cells) : text
    return shown + ' '.repeat(Math.max(0, cells - cellText.width(shown)))
  }
  io.stdout.write(
    lineOf(
      placed.map(({ column }, index) =>
        column.title === '' ? '' : bold(fit(column.title, index)),
      ),
    ),
  )
  return (row) => {
    let below: string[] = []
    const cells = placed.map(({ column, cells }, index) => {
      let text = oneLine(column.text(row))
      if (column.wrap && index === placed.length - 1 && cellText.width(text) > cells) {
        below = wrapWords(cellText, text, Math.max(1, room - wrapIndent))
        text = ''
      }
      const padded = fit(text, index)
      return isBlank(padded) ? padded : (column.paint?.(padded, row) ?? padded)
    })
    const indent = ' '.repeat(Math.max(0, Math.min(wrapIndent, room - 1)))
    io.stdout.write(lineOf(cells))
    for (const line of below) io.stdout.write(`${indent}${line}\n`)
  }
}

/**
 * Writes a whole table. With `grows`, columns have room for wider texts, so the layout stays the same when the table is
 * redrawn.
 */
async function writeTable<Row>(
  io: Io,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: TableOptions & { readonly grows?: boolean | undefined },
): Promise<void> {
  if (!io.stdout.isTTY) {
    for (let at = 0; at < rows.length; at += rowsAtOnce) {
      const lines = rows.slice(at, at + rowsAtOnce).map((row) => plainLine(columns, row))
      io.stdout.write(lines.join(''))
    }
    return
  }
  const write = await layOut(io, columns, rows, { ...options, grows: options.grows ?? false })
  for (const row of rows) write(row)
}

/** Writes a value as JSON: indented on a terminal, on one line in a pipe. */
export function writeJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, io.stdout.isTTY ? 2 : 0)}\n`)
}

/** Writes a table, the rows as one JSON array, or the names of the rows, depending on `format`. */
export async function writeRows<Row>(
  io: Io,
  format: { readonly json: boolean; readonly quiet?: boolean },
  {
    rows,
    columns,
    name,
    ...options
  }: {
    rows: readonly Row[]
    columns: readonly Column<Row>[]
    name?: (row: Row) => string
    /** Whether columns keep their reserved widths. Set for a table that is redrawn repeatedly. */
    grows?: boolean | undefined
  } & TableOptions,
): Promise<void> {
  if (format.json) writeJson(io, rows)
  else if (format.quiet === true && name !== undefined) {
    for (const row of rows) writeName(io, name(row))
  } else await writeTable(io, columns, rows, options)
}
