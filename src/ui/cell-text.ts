/** Functions that measure texts in terminal cells and shorten them to a number of cells. */
export interface CellText {
  readonly width: (text: string) => number
  /** Returns the text, or its beginning and an ellipsis if it is wider than `cells`. */
  readonly cut: (text: string, cells: number) => string
}

const isAscii = (text: string): boolean => /^[ -~]*$/.test(text)

const cutAscii = (text: string, cells: number): string =>
  text.length <= cells ? text : cells < 1 ? '' : `${text.slice(0, cells - 1)}…`

/**
 * Resolves to the functions for `texts`. Unicode tables, which take a while to load, are loaded only if some of the
 * texts are not ASCII.
 */
export async function cellTextFor(texts: readonly string[]): Promise<CellText> {
  if (texts.every(isAscii)) return { width: (text) => text.length, cut: cutAscii }
  const { default: stringWidth } = await import('string-width')
  const width = (text: string): number => (isAscii(text) ? text.length : stringWidth(text))
  const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
  return {
    width,
    cut(text, cells) {
      if (isAscii(text)) return cutAscii(text, cells)
      if (cells < 1) return ''
      if (width(text) <= cells) return text
      let kept = ''
      let room = cells - 1 // leaves one cell for the ellipsis
      for (const { segment } of segmenter.segment(text)) {
        room -= width(segment)
        if (room < 0) break
        kept += segment
      }
      return `${kept}…`
    },
  }
}

/**
 * Breaks a text between words into lines of at most `cells` cells. A longer word is cut off and ends with an ellipsis.
 */
export function wrapWords({ width, cut }: CellText, text: string, cells: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ').map((word) => cut(word, cells))) {
    const last = lines.at(-1)
    if (last !== undefined && width(last) + 1 + width(word) <= cells) {
      lines[lines.length - 1] = `${last} ${word}`
    } else lines.push(word)
  }
  return lines
}
