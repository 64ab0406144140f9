import { setTimeout as wait } from 'node:timers/promises'
import { ignored } from '../../os/trace.ts'

/** Options of {@link firstAnswer}. */
interface AskOptions {
  /** After how long without an answer the next one is asked too, in milliseconds. */
  readonly patienceMs: number
  /** How long each may take, in milliseconds. */
  readonly answerMs: number
  readonly signal: AbortSignal
}

/** Rejects with the reason of a signal as soon as it is aborted. */
async function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  let abort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Asks for the same answer in several places, one after the other, and returns the first answer. The next place is asked when the one
 * before it has failed, has no answer, or is slow. Undefined if no place has an answer.
 */
export async function firstAnswer<Place extends { readonly name: string }, Answer>(
  places: readonly Place[],
  ask: (place: Place, signal: AbortSignal) => Promise<Answer | undefined>,
  { patienceMs, answerMs, signal }: AskOptions,
): Promise<Answer | undefined> {
  const over = new AbortController()
  let resolve: (answer: Answer) => void = () => {}
  const found = new Promise<Answer>((found) => (resolve = found))
  const asked: Promise<Answer | undefined>[] = []
  try {
    for (const place of places) {
      signal.throwIfAborted()
      const stop = AbortSignal.any([signal, over.signal, AbortSignal.timeout(answerMs)])
      const asking = unlessAborted(ask(place, stop), stop).catch(
        ignored('engine', `ask ${place.name}`),
      )
      asked.push(asking)
      void asking.then((answer) => answer !== undefined && resolve(answer))
      const patience = wait(patienceMs, undefined, { ref: false, signal: over.signal })
      const early = await Promise.race([found, asking, patience.catch(() => undefined)])
      if (early !== undefined) return early
    }
    return await Promise.race([found, Promise.all(asked).then(() => undefined)])
  } finally {
    over.abort()
  }
}
