import { setTimeout as wait } from 'node:timers/promises'
import { ignored } from '../../os/trace.ts'

/** Options of {@link firstAnswer}. */
interface AskOptions {
  /** How long to wait for an answer before also asking the next place, in milliseconds. */
  readonly nextAfterMs: number
  /** How long each place may take to answer, in milliseconds. */
  readonly answerMs: number
  readonly signal: AbortSignal
}

/** Rejects with the signal's reason as soon as the signal is aborted. */
async function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const left = new AbortController()
  const aborted = new Promise<never>((_, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { signal: left.signal })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    left.abort()
  }
}

/**
 * Asks several places for the same information, in order, and resolves to the first answer. The next place is asked
 * when the previous one has failed, has no answer, or is slow. Resolves to undefined if no place has an answer.
 */
export async function firstAnswer<Place extends { readonly name: string }, Answer>(
  places: readonly Place[],
  ask: (place: Place, signal: AbortSignal) => Promise<Answer | undefined>,
  { nextAfterMs, answerMs, signal }: AskOptions,
): Promise<Answer | undefined> {
  const over = new AbortController()
  const answers: Promise<Answer>[] = []
  const first = () => Promise.any(answers).catch(() => undefined)
  try {
    for (const place of places) {
      signal.throwIfAborted()
      const stop = AbortSignal.any([signal, over.signal, AbortSignal.timeout(answerMs)])
      const asking = unlessAborted(ask(place, stop), stop).catch(
        ignored('engine', `query ${place.name}`),
      )
      answers.push(asking.then((answer) => answer ?? Promise.reject(new Error('no answer'))))
      const delay = wait(nextAfterMs, undefined, { ref: false, signal: over.signal })
      const early = await Promise.race([first(), asking, delay.catch(() => undefined)])
      if (early !== undefined) return early
    }
    const late = await first()
    signal.throwIfAborted()
    return late
  } finally {
    over.abort()
  }
}
