import { Styled } from '../styled.ts'

/** Text that is redrawn on the last lines of a terminal, and is hidden while other text is written. */
export interface LiveText {
  hide(): void
  show(): void
}

/**
 * The alternate screen of a terminal. It does not scroll, its cursor is hidden, and lines do not wrap (xterm: DEC
 * private modes 1049, 25 and 7).
 */
export const alternateScreen = {
  enter: new Styled('\u001B[?1049h\u001B[?25l\u001B[?7l'),
  leave: new Styled('\u001B[?7h\u001B[?25h\u001B[?1049l'),
  /**
   * Draws rendered lines over the previous ones. Each line clears the rest of its row (EL), and the last line also
   * clears all rows below it (ED).
   */
  frame: (lines: readonly string[]): Styled =>
    new Styled(`\u001B[H${lines.map((line) => `${line}\u001B[K`).join('\n')}\u001B[J`),
}

/** Called when a question is opened, and again when it has been answered. */
export type QuestionListener = (isOpen: boolean) => void

/** The terminal that a command writes to. It tracks which live text is shown on it, and whether a question is open. */
export class Screen {
  #live: LiveText | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #isAsking = false
  #held: (() => void)[] = []
  readonly #listeners = new Set<QuestionListener>()

  /** Whether a question is open. Until it is answered, other output is held back. */
  get isAsking(): boolean {
    return this.#isAsking
  }

  /** Calls `listener` for each question, until the result is disposed. */
  onQuestion(listener: QuestionListener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Makes `text` the live text, until the result is disposed. */
  share(text: LiveText): Disposable {
    this.#live = text
    return {
      [Symbol.dispose]: () => {
        if (this.#live === text) this.#live = undefined
      },
    }
  }

  /** Calls `write` while the live text is hidden. If a question is open, delays the call until it has been answered. */
  write(write: () => void): void {
    if (this.#isAsking) {
      this.#held.push(write)
      return
    }
    this.#live?.hide()
    write()
    this.#live?.show()
  }

  /** Asks questions one at a time, without any other output on the terminal. */
  async ask<T>(question: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      this.#live?.hide()
      this.#setAsking(true)
      try {
        return await question()
      } finally {
        this.#setAsking(false)
        for (const write of this.#held.splice(0)) write()
        this.#live?.show()
      }
    })
    this.#turn = turn.catch(() => {})
    return turn
  }

  #setAsking(isAsking: boolean): void {
    this.#isAsking = isAsking
    for (const listener of this.#listeners) listener(isAsking)
  }
}
