import { createColors } from 'picocolors'
import type { Io } from './io.ts'
import { Styled, type Text, render } from './styled.ts'

/** Gives text a colour. */
export type Paint = (text: Text) => Styled

const names = ['dim', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan'] as const

/** Colours for a stream: real ones only on a terminal and without NO_COLOR (https://no-color.org). */
export function colorsOf(
  io: Io,
  stream: 'stdout' | 'stderr',
): Readonly<Record<(typeof names)[number], Paint>> {
  const wanted = (io.env['NO_COLOR'] ?? '') === '' && io.env['TERM'] !== 'dumb'
  const colors = createColors(wanted && io[stream].isTTY)
  const paints = names.map((name): [string, Paint] => [
    name,
    (text) => new Styled(colors[name](render(text))),
  ])
  return Object.fromEntries(paints) as Record<(typeof names)[number], Paint>
}
