import { createColors } from 'picocolors'
import type { Io } from './io.ts'
import { Styled, type Text, render } from './styled.ts'

type StreamName = 'stdout' | 'stderr'

/** Applies a color to text. */
export type Paint = (text: Text) => Styled

const names = ['bold', 'dim', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan'] as const

export type Colors = Readonly<Record<(typeof names)[number], Paint>>

/** Whether control sequences may be written to a stream: it must be a terminal, and TERM must not be `dumb`. */
export const shouldStyle = (
  io: Pick<Io, 'env' | 'stdout' | 'stderr'>,
  stream: StreamName,
): boolean => io[stream].isTTY && io.env['TERM'] !== 'dumb'

/**
 * Returns the colors for a stream. They have no effect in a pipe, with TERM=dumb or with NO_COLOR
 * (https://no-color.org).
 */
export function colorsOf(io: Io, stream: StreamName): Colors {
  const isWanted = (io.env['NO_COLOR'] ?? '') === ''
  const colors = createColors(isWanted && shouldStyle(io, stream))
  const paints = names.map((name): [string, Paint] => [
    name,
    (text) => new Styled(colors[name](render(text))),
  ])
  return Object.fromEntries(paints) as Record<(typeof names)[number], Paint>
}

/** States in which a machine or container is working, and states in which something is wrong. */
const goodStates = /^(?:running|ready|connected|deployed|healthy|written)$/
const badStates = /^(?:unreachable|absent|no-engine|dead|degraded|unhealthy|failed|impossible)$/

/**
 * Returns the color for a state of a machine or container: green if it is working, red if something is wrong, and
 * yellow otherwise.
 */
export function stateColor({ green, yellow, red }: Colors, state: string): Paint {
  if (goodStates.test(state)) return green
  return badStates.test(state) ? red : yellow
}
