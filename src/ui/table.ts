import stringWidth from 'string-width'
import type { Io } from './io.ts'

/** A column of a table. */
export interface Column<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  /** Colours the text, once it is aligned. */
  readonly paint?: (text: string, row: Row) => string
  /** Cells that it is wide at least, where rows are written before all are known. */
  readonly width?: number
}

/** A tab, a line end or an escape sequence inside a cell would break the rows. */
// oxlint-disable-next-line no-control-regex
const oneLine = (text: string): string => text.replaceAll(/[\t\r\n\u001B]+/g, ' ')

/** Cells side by side. */
const lineOf = (cells: readonly string[]): string => `${cells.join('   ').trimEnd()}\n`

const pad = (text: string, width: number): string =>
  text + ' '.repeat(Math.max(0, width - stringWidth(text)))

/**
 * Writes rows one by one: aligned under a header on a terminal, tab-separated without
 * header in a pipe. Columns are as wide as `known` rows and titles need.
 */
export function openTable<Row>(
  io: Io,
  columns: readonly Column<Row>[],
  known: readonly Row[] = [],
): (row: Row) => void {
  if (io.stdout.isTTY !== true) {
    return (row) =>
      void io.stdout.write(`${columns.map((column) => oneLine(column.text(row))).join('\t')}\n`)
  }
  const widths = columns.map((column) =>
    Math.max(
      column.width ?? 0,
      stringWidth(column.title),
      ...known.map((row) => stringWidth(oneLine(column.text(row)))),
    ),
  )
  io.stdout.write(lineOf(columns.map(({ title }, index) => pad(title, widths[index] ?? 0))))
  return (row) => {
    const cells = columns.map(({ text, paint = String }, index) =>
      paint(pad(oneLine(text(row)), widths[index] ?? 0), row),
    )
    io.stdout.write(lineOf(cells))
  }
}

/** Writes a whole table. */
function writeTable<Row>(io: Io, columns: readonly Column<Row>[], rows: readonly Row[]): void {
  const write = openTable(io, columns, rows)
  for (const row of rows) write(row)
}

/** Writes a value as JSON: indented on a terminal, on one line in a pipe. */
export function writeJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, io.stdout.isTTY === true ? 2 : 0)}\n`)
}

/** Writes a table, or the rows as one JSON array, or their names, as the person asked. */
export function writeRows<Row>(
  io: Io,
  format: { readonly json: boolean; readonly quiet?: boolean },
  {
    rows,
    columns,
    name,
  }: {
    rows: readonly Row[]
    columns: readonly Column<Row>[]
    name?: (row: Row) => string
  },
): void {
  if (format.json) writeJson(io, rows)
  else if (format.quiet === true && name !== undefined) {
    for (const row of rows) io.stdout.write(`${name(row)}\n`)
  } else writeTable(io, columns, rows)
}
