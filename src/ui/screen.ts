import type { Writable } from 'node:stream'
import type { Io } from './io.ts'

/** Text that is drawn again and again on the last lines of a terminal, and makes way for other text. */
export interface LiveText {
  hide(): void
  show(): void
}

const live = new WeakMap<Writable, LiveText>()
const turns = new WeakMap<Writable, Promise<unknown>>()

/** Says that `text` is live on stderr, until disposed. */
export function shareScreen({ stderr }: Io, text: LiveText): Disposable {
  live.set(stderr, text)
  return { [Symbol.dispose]: () => void live.delete(stderr) }
}

/** Has stderr for a question or a text alone: one after the other, while what is live there is hidden. */
export async function takeScreen<T>({ stderr }: Io, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(stderr) ?? Promise.resolve()).then(async () => {
    const text = live.get(stderr)
    text?.hide()
    try {
      return await work()
    } finally {
      text?.show()
    }
  })
  turns.set(
    stderr,
    turn.catch(() => {}),
  )
  return turn
}
