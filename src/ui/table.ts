import type { Io } from './io.ts'
import { type Styled, type Text, joinText, compose } from './styled.ts'
import { oneLine, visible } from './visible.ts'

/** A column of a table. */
export interface Column<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  /** Colours the text, once it is aligned. */
  readonly paint?: (text: string, row: Row) => Text
  /** Cells that it is wide at least, where rows are written before all are known. */
  readonly width?: number
}

/** Cells side by side. */
const lineOf = (cells: readonly Text[]): Styled => {
  const last = cells.at(-1) ?? ''
  const ends = typeof last === 'string' ? last.trimEnd() : last
  return compose`${joinText([...cells.slice(0, -1), ends], '   ')}\n`
}

/** Cells that a text takes on a terminal. */
type WidthOf = (text: string) => number

const isAscii = (text: string): boolean => /^[ -~]*$/.test(text)

/** Most tables are ASCII, whose width needs no knowledge of Unicode; that takes a while to load. */
async function widthsFor(texts: readonly string[]): Promise<WidthOf> {
  if (texts.every(isAscii)) return (text) => text.length
  const { default: stringWidth } = await import('string-width')
  return (text) => (isAscii(text) ? text.length : stringWidth(text))
}

/** A cell that is not known yet may have any text. */
const unknownText = '…'

/** What a name or an id looks like: one word that no program would take for an option. */
const nameLike = /^[^\s-]\S*$/

/** Writes a name for programs to read. What does not look like one is left out and told: it could mean anything to them. */
export function writeName(io: Io, name: string): void {
  if (nameLike.test(name) && visible(name) === name) io.stdout.write(`${name}\n`)
  else io.stderr.write(`left out, since it does not look like a name: ${JSON.stringify(name)}\n`)
}

/**
 * Writes rows one by one: aligned under a header on a terminal, tab-separated without
 * header in a pipe. Columns are as wide as `known` rows and titles need.
 */
export const openTable = <Row>(
  io: Io,
  columns: readonly Column<Row>[],
  known: readonly Row[] = [],
): Promise<(row: Row) => void> => layOut(io, columns, known, [unknownText])

async function layOut<Row>(
  io: Io,
  columns: readonly Column<Row>[],
  known: readonly Row[],
  others: readonly string[],
): Promise<(row: Row) => void> {
  if (!io.stdout.isTTY) {
    return (row) =>
      io.stdout.write(`${columns.map((column) => oneLine(column.text(row))).join('\t')}\n`)
  }
  const cells = columns.map(({ title, text }) => [title, ...known.map((row) => oneLine(text(row)))])
  const widthOf = await widthsFor([...others, ...cells.flat()])
  const widths = columns.map(({ width = 0 }, index) =>
    (cells[index] ?? []).reduce((widest, text) => Math.max(widest, widthOf(text)), width),
  )
  const pad = (text: string, index: number): string =>
    text + ' '.repeat(Math.max(0, (widths[index] ?? 0) - widthOf(text)))
  io.stdout.write(lineOf(columns.map(({ title }, index) => pad(title, index))))
  return (row) => {
    const painted = columns.map(({ text, paint = (padded) => padded }, index) =>
      paint(pad(oneLine(text(row)), index), row),
    )
    io.stdout.write(lineOf(painted))
  }
}

/** Writes a whole table. */
async function writeTable<Row>(
  io: Io,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): Promise<void> {
  const write = await layOut(io, columns, rows, [])
  for (const row of rows) write(row)
}

/** Writes a value as JSON: indented on a terminal, on one line in a pipe. */
export function writeJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, io.stdout.isTTY ? 2 : 0)}\n`)
}

/** Writes a table, or the rows as one JSON array, or their names, as the person asked. */
export async function writeRows<Row>(
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
): Promise<void> {
  if (format.json) writeJson(io, rows)
  else if (format.quiet === true && name !== undefined) {
    for (const row of rows) writeName(io, name(row))
  } else await writeTable(io, columns, rows)
}
