import { createColors } from 'picocolors'
import type { Io } from './io.ts'

/** Colours for a stream: real ones only on a terminal and without NO_COLOR (https://no-color.org). */
export function colorsOf(io: Io, stream: 'stdout' | 'stderr'): ReturnType<typeof createColors> {
  const wanted = (io.env['NO_COLOR'] ?? '') === '' && io.env['TERM'] !== 'dumb'
  return createColors(wanted && io[stream].isTTY === true)
}
