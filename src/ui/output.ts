import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { Terminal } from '../os/streams.ts'
import type { Screen } from './progress/screen.ts'
import { type Text, render } from './styled.ts'

/**
 * The standard output or standard error of a command. In text that is written to it, control characters are escaped. If
 * it is a terminal, live text is hidden while text is written, and text is held while a question is open.
 */
export class Output {
  /** The stream itself, for the output of other programs; messages of fleet are not written to it. */
  readonly raw: Writable & Terminal
  readonly #screen: Screen

  constructor(raw: Writable & Terminal, screen: Screen) {
    this.raw = raw
    this.#screen = screen
  }

  get isTTY(): boolean {
    return this.raw.isTTY === true
  }

  /** Undefined if the width is not known. Terminals without a size report 0. */
  get columns(): number | undefined {
    return this.raw.columns || undefined
  }

  /** Undefined if the height is not known. Terminals without a size report 0. */
  get rows(): number | undefined {
    return this.raw.rows || undefined
  }

  /** Whether the caller should wait for {@link drained}. */
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

  /** Resolves when more can be written. Callers that do not wait for a slow reader would fill the memory. */
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
