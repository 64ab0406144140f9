import stringWidth from 'string-width'
import { oneLine } from '../visible.ts'

/**
 * The style of a cell: the parameters of an SGR sequence (ECMA-48 8.3.117), such as `1;31`. If empty, the terminal's
 * default style is used.
 */
export type CellStyle = string

const isAscii = (text: string): boolean => /^[ -~]*$/.test(text)
const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Returns the number of cells that a text occupies. */
export const cellWidth = (text: string): number => (isAscii(text) ? text.length : stringWidth(text))

/** Returns the text, or its beginning and an ellipsis if it is wider than `cells`. Control characters are escaped. */
export function fitCells(text: string, cells: number, ellipsis = '…'): string {
  const line = oneLine(text)
  if (cells <= 0) return ''
  if (cellWidth(line) <= cells) return line
  if (isAscii(line)) return `${line.slice(0, cells - 1)}${ellipsis}`
  let kept = ''
  let room = cells - 1
  for (const { segment } of segmenter.segment(line)) {
    room -= cellWidth(segment)
    if (room < 0) break
    kept += segment
  }
  return `${kept}${ellipsis}`
}

/** A rectangle of character cells. The text of the second cell of a wide character is empty. */
export class Canvas {
  readonly columns: number
  readonly rows: number
  readonly texts: string[]
  readonly styles: CellStyle[]

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
    this.texts = Array.from({ length: columns * rows }, () => ' ')
    this.styles = Array.from({ length: columns * rows }, () => '')
  }

  /**
   * Writes a text from left to right, starting at a cell, and returns the column after it. Text that does not fit into
   * the row, or into `room` cells, is cut off. Control characters are escaped.
   */
  put(x: number, y: number, text: string, style: CellStyle = '', room = this.columns - x): number {
    const end = Math.min(this.columns, x + room)
    if (y < 0 || y >= this.rows || x >= end) return x
    const line = oneLine(text)
    let at = x
    if (isAscii(line)) {
      for (const character of line.slice(0, end - at)) this.#set(at++, y, character, style)
      return at
    }
    for (const { segment } of segmenter.segment(line)) {
      const width = isAscii(segment) ? 1 : stringWidth(segment)
      if (width === 0) continue
      if (at + width > end) break
      this.#set(at, y, segment, style)
      if (width > 1) this.#set(at + 1, y, '', style)
      at += width
    }
    return at
  }

  /** Changes the style of part of a row, but not its text. */
  restyle(x: number, y: number, width: number, style: CellStyle): void {
    if (y < 0 || y >= this.rows) return
    const from = y * this.columns
    this.styles.fill(style, from + x, from + Math.min(this.columns, x + width))
  }

  /** Clears a rectangle, so that something can be drawn over it. */
  clear(x: number, y: number, width: number, height: number): void {
    for (let row = y; row < y + height; row += 1) this.put(x, row, ' '.repeat(Math.max(0, width)))
  }

  #set(x: number, y: number, text: string, style: CellStyle): void {
    const index = y * this.columns + x
    const before = this.texts[index]
    // If half of a wide character is overwritten, the other half becomes a space.
    if (before === '' && text !== '' && x > 0) this.texts[index - 1] = ' '
    if (before !== '' && this.texts[index + 1] === '' && x + 1 < this.columns) {
      this.texts[index + 1] = ' '
    }
    this.texts[index] = text
    this.styles[index] = style
  }

  /** Returns the rows as plain text, without trailing spaces. */
  lines(): string[] {
    return Array.from({ length: this.rows }, (_, row) =>
      this.texts
        .slice(row * this.columns, (row + 1) * this.columns)
        .join('')
        .trimEnd(),
    )
  }
}
