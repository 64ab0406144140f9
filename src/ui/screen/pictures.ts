import type { Canvas, CellStyle } from './canvas.ts'
import { type Look, heatStyle, partTones, styleOf, toneOfShare } from './palette.ts'

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const
const heights = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const
const asciiHeights = ['_', '.', '-', '=', '+', '*', '%', '#'] as const
const shades = ['░', '▒', '▓', '█'] as const
const asciiShades = ['.', ':', '+', '#'] as const
const asciiParts = ['#', '=', '+', '.'] as const

const within = (share: number): number => Math.min(1, Math.max(0, share))

/** Draws a bar that fills `width` cells for a share of 1. */
export function drawBar(
  canvas: Canvas,
  look: Look,
  {
    x,
    y,
    width,
    share,
    style,
  }: Readonly<{ x: number; y: number; width: number; share: number; style?: CellStyle }>,
): void {
  const filled = within(share) * width
  const whole = Math.floor(filled)
  const rest = Math.round((filled - whole) * 8)
  const painted = style ?? styleOf(look, toneOfShare(share))
  if (look.unicode) {
    const part = rest === 8 ? '█' : (eighths[rest] ?? '')
    const bar = `${'█'.repeat(whole)}${part}`
    const end = canvas.put(x, y, bar, painted, width)
    canvas.put(end, y, '·'.repeat(x + width - end), styleOf(look, 'dim'))
  } else {
    const count = Math.min(width, Math.round(filled))
    const end = canvas.put(x, y, '|'.repeat(count), painted, width)
    canvas.put(end, y, '.'.repeat(x + width - end), styleOf(look, 'dim'))
  }
}

/**
 * Returns the newest values as a row of columns, each one cell wide, with the newest at the right end. `most` is the
 * value for a column of full height (default: the highest value).
 */
export function sparkline(
  look: Look,
  values: readonly number[],
  width: number,
  most?: number,
): string {
  const shown = values.slice(-width)
  const top = Math.max(most ?? 0, ...(most === undefined ? shown : []), Number.EPSILON)
  const glyphs = look.unicode ? heights : asciiHeights
  const line = shown.map((value) => glyphs[Math.min(7, Math.floor(within(value / top) * 8))] ?? ' ')
  return line.join('').padStart(width)
}

/** Draws a bar of up to four parts. The values of the parts add up to at most `total`. */
export function drawParts(
  canvas: Canvas,
  look: Look,
  {
    x,
    y,
    width,
    parts,
    total,
  }: Readonly<{ x: number; y: number; width: number; parts: readonly number[]; total: number }>,
): void {
  if (total <= 0) return
  let sum = 0
  let at = x
  for (const [index, value] of parts.entries()) {
    sum += Math.max(0, value)
    const end = x + Math.round(within(sum / total) * width)
    const tone = partTones[index % partTones.length] ?? 'accent'
    const glyph =
      look.unicode && look.colors !== 'none' ? '█' : (look.unicode ? shades : asciiParts)[index % 4]
    at = canvas.put(at, y, (glyph ?? '#').repeat(Math.max(0, end - at)), styleOf(look, tone))
  }
  canvas.put(
    at,
    y,
    (look.unicode ? '·' : ' ').repeat(Math.max(0, x + width - at)),
    styleOf(look, 'dim'),
  )
}

/** Returns the character that represents a part of {@link drawParts} in the legend. */
export function partGlyph(look: Look, index: number): string {
  if (look.unicode && look.colors !== 'none') return '█'
  return (look.unicode ? shades : asciiParts)[index % 4] ?? '#'
}

/** Returns one cell of a heat strip. If `share` is undefined, no value is known. */
export function heatCell(
  look: Look,
  share: number | undefined,
): { readonly text: string; readonly style: CellStyle } {
  if (share === undefined) return { text: look.unicode ? '·' : '?', style: styleOf(look, 'dim') }
  if (look.unicode && look.colors !== 'none') return { text: '█', style: heatStyle(look, share) }
  const glyphs = look.unicode ? shades : asciiShades
  const text = glyphs[Math.min(3, Math.floor(within(share) * 4))] ?? '#'
  return { text, style: heatStyle(look, share) }
}
