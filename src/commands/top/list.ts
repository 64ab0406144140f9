import { parseFilter } from './model/filter.ts'
import { type Model, type ViewState, stateOfMachine } from './model/model.ts'
import { views } from './views/index.ts'
import type { Row, View } from './views/view.ts'

/** A line of a table: a row, or the heading of a group. */
type ListLine =
  | { readonly row: Row; readonly index: number }
  | { readonly heading: string; readonly count: number }

/** The rows of a view, and which of them are in the window. */
export interface List {
  readonly view: View
  readonly state: ViewState
  readonly rows: readonly Row[]
  /** The number of rows before filtering. */
  readonly all: number
  readonly lines: readonly ListLine[]
  /** The index of the selected row; -1 if there are no rows. */
  readonly cursor: number
  /** The index of the first line that is shown. It is chosen so that the selected row is in the window. */
  readonly top: number
  /** The number of lines that the window has for rows. */
  readonly height: number
}

/** Returns the height, in lines, of the strip at the top that has a cell for each machine. */
export function stripHeight({ view, machines, columns, rows }: Model): number {
  if (view !== 'machines' || machines.size < 2 || rows < 12) return 0
  return Math.min(3, Math.ceil(machines.size / Math.max(1, columns - 6)))
}

/** Returns the number of lines that the window has for rows, not counting title, strip, headings, message and keys. */
const listHeight = (model: Model): number => Math.max(1, model.rows - 4 - stripHeight(model))

const compare = (a: number | string, b: number | string): number =>
  typeof a === 'number' && typeof b === 'number'
    ? b - a
    : String(a).localeCompare(String(b), 'en', { numeric: true })

function groupOf(row: Row, grouping: ViewState['grouping']): string {
  if (grouping === 'machine') return row.machine?.machine.name ?? ''
  return grouping === 'swarm' ? row.swarm : row.stack || '(no stack)'
}

function sortRows(rows: Row[], { sort, isReversed }: ViewState): Row[] {
  if (sort < 0) return isReversed ? rows.reverse() : rows
  const values = new Map(rows.map((row) => [row, row.value(sort)]))
  const sign = isReversed ? -1 : 1
  return rows.sort((a, b) => sign * compare(values.get(a) ?? '', values.get(b) ?? ''))
}

function linesOf(rows: readonly Row[], grouping: ViewState['grouping']): readonly ListLine[] {
  if (grouping === 'none') return rows.map((row, index) => ({ row, index }))
  const lines: ListLine[] = []
  const counts = new Map<string, number>()
  for (const row of rows) {
    const group = groupOf(row, grouping)
    counts.set(group, (counts.get(group) ?? 0) + 1)
  }
  let last: string | undefined
  for (const [index, row] of rows.entries()) {
    const group = groupOf(row, grouping)
    if (group !== last) lines.push({ heading: group, count: counts.get(group) ?? 0 })
    last = group
    lines.push({ row, index })
  }
  return lines
}

/** Sorts rows by group. The groups are in the order of their first rows, except that stacks are sorted by name. */
function groupRows(rows: readonly Row[], grouping: ViewState['grouping']): readonly Row[] {
  if (grouping === 'none') return rows
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const group = groupOf(row, grouping)
    const known = groups.get(group)
    if (known === undefined) groups.set(group, [row])
    else known.push(row)
  }
  const names = [...groups.keys()]
  if (grouping === 'stack') names.sort((a, b) => compare(a, b))
  return names.flatMap((name) => groups.get(name) ?? [])
}

function computeList(model: Model): List {
  const view = views[model.view]
  const state = model.views[model.view]
  const all = view.rows(model)
  const matches = parseFilter(state.filter)
  const kept =
    state.filter === ''
      ? all
      : all.filter((row) => {
          const { machine } = row
          return matches({
            machine: machine?.machine,
            state: row.state,
            machineState: machine ? stateOfMachine(machine, model.now) : '',
            text: () => row.text(),
          })
        })
  const rows = groupRows(sortRows(kept, state), state.grouping)
  const lines = linesOf(rows, state.grouping)
  const found = rows.findIndex(({ id }) => id === state.cursor.id)
  const cursor = found === -1 ? Math.min(state.cursor.index, rows.length - 1) : found
  const height = listHeight(model)
  const line = lines.findIndex((one) => 'index' in one && one.index === cursor)
  // The heading above the first row of a group is kept visible together with that row.
  const first = line > 0 && 'heading' in (lines[line - 1] ?? {}) ? line - 1 : line
  const lowest = Math.max(0, lines.length - height)
  const top = Math.max(0, Math.min(state.top, lowest, first < 0 ? 0 : first))
  return {
    ...{ view, state, rows, lines, cursor, height, all: all.length },
    top: line >= top + height ? line - height + 1 : top,
  }
}

const computed = new WeakMap<Model, List>()

/** Returns the rows of the current view: filtered, sorted and grouped. */
export function listOf(model: Model): List {
  const known = computed.get(model)
  if (known !== undefined) return known
  const list = computeList(model)
  computed.set(model, list)
  return list
}

/** Returns the rows in the window. */
export const visibleRows = ({ lines, top, height }: List): readonly Row[] =>
  lines.slice(top, top + height).flatMap((line) => ('row' in line ? [line.row] : []))
