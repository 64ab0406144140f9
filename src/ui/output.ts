import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { Screen } from './progress/screen.ts'
import { type Text, render } from './styled.ts'

/** A stream that may be a terminal. */
export type Terminal = {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/**
 * An output of a command. All that a person reads is written here: it goes through the gate, makes live text give way,
 * and waits while a question is open on the terminal.
 */
export class Output {
  /** The stream itself, for what passes through fleet as it is: nothing of fleet's own is written to it. */
  readonly raw: Writable & Terminal
  readonly #screen: Screen

  constructor(raw: Writable & Terminal, screen: Screen) {
    this.raw = raw
    this.#screen = screen
  }

  get isTTY(): boolean {
    return this.raw.isTTY === true
  }

  get columns(): number | undefined {
    return this.raw.columns
  }

  get rows(): number | undefined {
    return this.raw.rows
  }

  /** Whether it is better to wait for {@link drained}. */
  get needsDrain(): boolean {
    return (this.isTTY && this.#screen.isAsking) || this.raw.writableNeedDrain
  }

  /** Writes text, of which a terminal acts on fleet's own styles only. */
  write(text: Text): void {
    this.#send(render(text))
  }

  /** Writes what a container or a program printed, as it is. */
  pass(text: string): void {
    this.#send(text)
  }

  /** Resolves once it takes more: it may be a slow reader's, and what waits for that takes memory. */
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
