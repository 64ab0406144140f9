import { Writable } from 'node:stream'
import { shouldStyle } from './color.ts'
import type { Io } from './io.ts'
import { Output } from './output.ts'
import { Screen, alternateScreen } from './progress/screen.ts'
import { Styled, compose } from './styled.ts'

/**
 * Draws pages, each of which replaces the previous one. Disposing it restores the terminal, and writes the last page
 * below the command line.
 */
export interface Pages extends Disposable {
  /** Runs `write` with outputs that collect the page, and then shows the whole page. */
  draw(write: (io: Io) => Promise<unknown>): Promise<void>
}

/** Creates a stream that collects what is written to it. */
function collector(): { readonly stream: Writable; readonly text: () => string } {
  let text = ''
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      text += chunk
      done()
    },
  })
  return { stream, text: () => text }
}

/** Returns the lines of a page that fit into the window. If some do not fit, the last line says how many. */
function visibleLines(page: string, rows: number): readonly string[] {
  const lines = page.replace(/\n$/, '').split('\n')
  if (lines.length <= rows) return lines
  return [...lines.slice(0, Math.max(0, rows - 1)), `… and ${lines.length - rows + 1} more lines`]
}

/**
 * Opens a display of pages on stdout. The pages are drawn on the terminal's alternate screen, so that nothing scrolls.
 * The alternate screen is left when the result is disposed, or when the process exits before that. If stdout does not
 * support control sequences, each page is written below the previous one.
 */
export function openPages(io: Io): Pages {
  const isPlain = !shouldStyle(io, 'stdout')
  let isOpen = false
  let last = ''
  const close = (): void => {
    if (!isOpen) return
    isOpen = false
    process.off('exit', close)
    io.stdout.write(compose`${alternateScreen.leave}${new Styled(last)}`)
  }
  const show = (page: string): void => {
    if (isPlain) return io.stdout.write(new Styled(page))
    last = page
    if (!isOpen) {
      isOpen = true
      process.once('exit', close)
      io.stdout.write(alternateScreen.enter)
    }
    const lines = visibleLines(page, io.stdout.rows ?? 24)
    io.stdout.write(alternateScreen.frame(lines))
  }
  return {
    async draw(write) {
      const { stream, text } = collector()
      const { isTTY, columns, rows } = io.stdout
      const look = { isTTY, ...(columns !== undefined && { columns }), ...(rows && { rows }) }
      const output = new Output(Object.assign(stream, look), new Screen())
      const isShared = isOpen && io.stderr.isTTY // otherwise, the page would overwrite messages
      await write({ ...io, stdout: output, ...(isShared && { stderr: output }) })
      show(text())
    },
    [Symbol.dispose]: close,
  }
}
