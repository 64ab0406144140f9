import { type Paint, colorsOf } from './color.ts'
import type { Io } from './io.ts'
import { render, compose } from './styled.ts'
import { onlyColors, oneLine } from './visible.ts'

/** Writes lines from several machines or containers, each prefixed with the name of its source. */
export interface PrefixedLines {
  write(source: string, stream: 'stdout' | 'stderr', line: string): void
}

/**
 * Opens an output for lines from `sources`. Prefixes are padded to the longest name, and each source has its own color.
 */
export function openPrefixedLines(io: Io, sources: readonly string[]): PrefixedLines {
  const width = Math.max(0, ...sources.map((source) => source.length))
  const order = new Map(sources.map((source, index) => [source, index]))
  const palettes = {
    stdout: paletteOf(io, 'stdout'),
    stderr: paletteOf(io, 'stderr'),
  }
  return {
    write(source, stream, line) {
      const palette = palettes[stream]
      const paint = palette[(order.get(source) ?? 0) % palette.length] ?? String
      const prefix = render(compose`${paint(`${oneLine(source).padEnd(width)} |`)} `)
      io[stream].pass(`${prefix}${io[stream].isTTY ? onlyColors(line) : line}\n`)
    },
  }
}

function paletteOf(io: Io, stream: 'stdout' | 'stderr'): Paint[] {
  const { cyan, yellow, green, magenta, blue } = colorsOf(io, stream)
  return [cyan, yellow, green, magenta, blue]
}
