/** The width of a column, and how far it can be reduced, in terminal cells. */
export interface ColumnWidth {
  /** The width of the longest text in the column. */
  readonly natural: number
  /** The width below which the column is shortened only if no other column can be shortened or left out. */
  readonly least: number
  /** Columns with the highest number are left out first. A column without a number is always kept. */
  readonly drop?: number | undefined
}

/** The number of spaces between two columns. */
export const gap = 3

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0)

/** Repeatedly shortens the widest column by one cell until all columns fit into `space`. */
function shrink(widths: number[], least: readonly number[], space: number): void {
  for (let excess = sum(widths) - space; excess > 0; excess -= 1) {
    let widest = -1
    for (const [index, width] of widths.entries()) {
      const canShrink = width > (least[index] ?? 0)
      if (canShrink && (widest < 0 || width > (widths[widest] ?? 0))) widest = index
    }
    if (widest < 0) return
    widths[widest] = (widths[widest] ?? 0) - 1
  }
}

/**
 * Returns the width of each column in a terminal of `room` cells; undefined for a column that is left out. First, the
 * widest columns are shortened, and then the least important ones are left out. If that is not enough, all remaining
 * columns are shortened further.
 */
export function fitColumns(
  columns: readonly ColumnWidth[],
  room: number,
): readonly (number | undefined)[] {
  let shown = columns.map((column, index) => ({
    ...column,
    index,
    natural: Math.min(column.natural, room),
  }))
  const space = (): number => room - gap * (shown.length - 1)
  const needed = (): number => sum(shown.map(({ least, natural }) => Math.min(least, natural)))
  while (needed() > space()) {
    const highest = Math.max(...shown.map(({ drop = -Infinity }) => drop))
    if (highest === -Infinity) break
    const left = shown.findLastIndex(({ drop }) => drop === highest)
    shown = shown.filter((_, position) => position !== left)
  }
  while (shown.length > 1 && space() < shown.length) shown = shown.slice(0, -1)
  const widths = shown.map(({ natural }) => natural)
  const least = shown.map((column) => Math.min(column.least, column.natural))
  shrink(widths, least, space())
  const titleless = shown.map(() => 1)
  shrink(widths, titleless, space())
  const byIndex = new Map(shown.map(({ index }, position) => [index, widths[position]]))
  return columns.map((_, index) => byIndex.get(index))
}
