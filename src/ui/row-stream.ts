import { namesOfGroup } from './fold-names.ts'
import type { Io } from './io.ts'
import { type Column, openTable, writeJson, writeName, writeRows } from './table.ts'

/** Writes rows that come from several machines. */
export interface RowStream<Row> {
  /** Takes the rows of one machine, once it has answered. */
  add(machine: string, rows: readonly Row[]): void
  /** Writes what has not been written. */
  finish(): Promise<void>
}

interface RowOptions<Row> {
  readonly columns: readonly Column<Row>[]
  /** What stands for a row where only names are wanted. */
  readonly name?: (row: Row) => string
  /** In the order in which their rows are to come. */
  readonly machines: readonly string[]
}

interface Format {
  readonly json: boolean
  readonly quiet: boolean
}

/** How long rows wait for those of machines before theirs, in milliseconds. Then they come as they come. */
const patienceMs = 1000

/** Rows of all machines in one table, in order unless some machine is slow. */
export function streamRows<Row>(
  io: Io,
  format: Format,
  { machines, ...options }: RowOptions<Row & { readonly machine: string }>,
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
    if (!format.quiet || name === undefined) return openTable(io, options.columns, known)
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
    if (!format.json) flushed = flush()
  }, patienceMs)
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
      if (write === undefined) await writeRows(io, format, { ...options, rows: takeAll() })
      else await flush()
    },
  }
}

/** The machines whose rows are the same together, each group as a table of its own. */
export function foldRows<Row>(
  io: Io,
  format: Format,
  { machines, ...options }: RowOptions<Row>,
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
      const columnOf = (group: (typeof groups)[number]) => machines.indexOf(group.machines[0] ?? '')
      groups.sort((a, b) => columnOf(a) - columnOf(b))
      if (format.json) return writeJson(io, groups)
      for (const { machines: names, rows } of groups) {
        const nothing = rows.length === 0 ? ' nothing' : ''
        io.stdout.write(`${namesOfGroup(names, machines.length)}:${nothing}\n`)
        await writeRows(io, format, { ...options, rows })
      }
    },
  }
}
