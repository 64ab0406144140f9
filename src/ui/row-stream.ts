import { namesOfGroup } from './fold-names.ts'
import type { Io } from './io.ts'
import {
  type Column,
  type TableOptions,
  openTable,
  writeJson,
  writeName,
  writeRows,
} from './table.ts'

/** Writes rows that come from several machines. */
export interface RowStream<Row> {
  /** Adds the rows of one machine, once it has answered. */
  add(machine: string, rows: readonly Row[]): void
  /** Writes the rows that have not been written yet. */
  finish(): Promise<void>
}

interface RowOptions<Row> extends TableOptions {
  readonly columns: readonly Column<Row>[]
  /** Returns what `--quiet` prints for a row. */
  readonly name?: (row: Row) => string
  /** The names of the machines, in the order in which their rows are written. */
  readonly machines: readonly string[]
  /** Whether the table is redrawn repeatedly. If so, it is written only when all machines have answered. */
  readonly redrawn?: boolean | undefined
}

interface Format {
  readonly json: boolean
  readonly quiet: boolean
}

/**
 * How long the rows of a table wait for the rows of earlier machines, in milliseconds. After that, rows are written as
 * they arrive.
 */
const orderedMs = 1000

/**
 * Writes the rows of all machines as one table. The rows are in the order of the machines unless one of the machines is
 * slow.
 */
export function streamRows<Row>(
  io: Io,
  format: Format,
  { machines, redrawn = false, ...options }: RowOptions<Row & { readonly machine: string }>,
): RowStream<Row> {
  type Named = Row & { readonly machine: string }
  const waiting = new Map<string, readonly Named[]>()
  const takeAll = (): Named[] => {
    const rows = machines.flatMap((machine) => waiting.get(machine) ?? [])
    waiting.clear()
    return rows
  }
  let write: Promise<(row: Named) => void> | undefined
  const open = async (known: readonly Named[]): Promise<(row: Named) => void> => {
    const { name } = options
    if (!format.quiet || name === undefined) return openTable(io, options.columns, known, options)
    return (row) => writeName(io, name(row))
  }
  const flush = async (): Promise<void> => {
    const rows = takeAll()
    write ??= open(rows)
    const writeRow = await write
    for (const row of rows) writeRow(row)
  }
  let flushed: Promise<void> = Promise.resolve()
  const timer = setTimeout(() => {
    if (!format.json && !format.quiet && !redrawn) flushed = flush()
  }, orderedMs)
  timer.unref()
  return {
    add(machine, rows) {
      const named = rows.map((row) => Object.assign({ machine }, row))
      waiting.set(machine, named)
      if (write !== undefined) flushed = flushed.then(flush)
    },
    async finish() {
      clearTimeout(timer)
      await flushed
      if (write === undefined)
        await writeRows(io, format, { ...options, rows: takeAll(), grows: redrawn })
      else await flush()
    },
  }
}

/** Writes one table for each group of machines that have the same rows. */
export function foldRows<Row>(
  io: Io,
  format: Format,
  { machines, redrawn = false, ...options }: RowOptions<Row>,
): RowStream<Row> {
  const byRows = new Map<string, { rows: readonly Row[]; machines: Set<string> }>()
  return {
    add(machine, rows) {
      const key = JSON.stringify(rows)
      const group = byRows.get(key) ?? { rows, machines: new Set() }
      byRows.set(key, group)
      group.machines.add(machine)
    },
    async finish() {
      const groups = [...byRows.values()].map((group) => ({
        machines: machines.filter((name) => group.machines.has(name)),
        rows: group.rows,
      }))
      const orderOf = (group: (typeof groups)[number]) => machines.indexOf(group.machines[0] ?? '')
      groups.sort((a, b) => orderOf(a) - orderOf(b))
      if (format.json) return writeJson(io, groups)
      for (const { machines: names, rows } of groups) {
        const nothing = rows.length === 0 ? ' nothing' : ''
        io.stdout.write(`${namesOfGroup(names, machines.length)}:${nothing}\n`)
        await writeRows(io, format, { ...options, rows, grows: redrawn })
      }
    },
  }
}
