import { Styled } from '../styled.ts'

/** Text that is drawn again and again on the last lines of a terminal, and makes way for other text. */
export interface LiveText {
  hide(): void
  show(): void
}

/** Puts the cursor home and clears the screen (ECMA-48, CUP and ED). */
export const clearScreen = new Styled('\u001B[H\u001B[2J')

/** Told when a question opens, and when it is over. */
export type QuestionListener = (isOpen: boolean) => void

/** A person's terminal: what is live on it, and whether a question is open there. */
export class Screen {
  #live: LiveText | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #isAsking = false
  #held: (() => void)[] = []
  readonly #listeners = new Set<QuestionListener>()

  /** Whether a question is open: what is written meanwhile waits. */
  get isAsking(): boolean {
    return this.#isAsking
  }

  /** Has `listener` told of questions, until disposed. */
  onQuestion(listener: QuestionListener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Says that `text` is live, until disposed. */
  share(text: LiveText): Disposable {
    this.#live = text
    return {
      [Symbol.dispose]: () => {
        if (this.#live === text) this.#live = undefined
      },
    }
  }

  /** Writes, with what is live out of the way; while a question is open, once that is over. */
  write(write: () => void): void {
    if (this.#isAsking) {
      this.#held.push(write)
      return
    }
    this.#live?.hide()
    write()
    this.#live?.show()
  }

  /** Has the terminal for a question alone, one after the other. */
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
