import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { Terminal } from '../os/streams.ts'
import type { Screen } from './progress/screen.ts'
import { type Text, render } from './styled.ts'

/**
 * The standard output or standard error of a command. Control characters in text that is written to it are escaped. If
 * it is a terminal, live text is hidden while other text is written, and other text is held back while a question is
 * open.
 */
export class Output {
  /** The stream itself, for the output of other programs. fleet's own messages are not written to it. */
  readonly raw: Writable & Terminal
  readonly #screen: Screen

  constructor(raw: Writable & Terminal, screen: Screen) {
    this.raw = raw
    this.#screen = screen
  }

  get isTTY(): boolean {
    return this.raw.isTTY === true
  }

  /** The width, in cells; undefined if it is not known. A terminal whose size is not known reports 0. */
  get columns(): number | undefined {
    return this.raw.columns || undefined
  }

  /** The height, in cells; undefined if it is not known. A terminal whose size is not known reports 0. */
  get rows(): number | undefined {
    return this.raw.rows || undefined
  }

  /** Whether the caller should wait for {@link drained} before writing more. */
  get needsDrain(): boolean {
    return (this.isTTY && this.#screen.isAsking) || this.raw.writableNeedDrain
  }

  /** Writes text. Only fleet's own styles reach the terminal as control sequences. */
  write(text: Text): void {
    this.#send(render(text))
  }

  /** Writes the output of a container or a program unchanged. */
  pass(text: string): void {
    this.#send(text)
  }

  /**
   * Resolves when more can be written. If callers did not wait for a slow reader, unwritten output would fill the
   * memory.
   */
  async drained(): Promise<void> {
    while (this.isTTY && this.#screen.isAsking) {
      await new Promise<void>((resolve) => {
        const listening = this.#screen.onQuestion(() => {
          listening[Symbol.dispose]()
          resolve()
        })
      })
    }
    if (this.raw.writableNeedDrain) await once(this.raw, 'drain')
  }

  #send(text: string): void {
    if (this.isTTY) this.#screen.write(() => void this.raw.write(text))
    else this.raw.write(text)
  }
}
