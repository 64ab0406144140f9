import { ConnectTimeout } from './connection-errors.ts'

/** The time there is to connect. */
export interface ConnectDeadline extends Disposable {
  /** Aborted when the time is over, when the caller aborts, or by `stop`; its reason is the error. */
  readonly signal: AbortSignal
  stop(reason: unknown): void
  /** Starts the clock anew, with another time in milliseconds. */
  restart(ms: number): void
  /** Stops the clock while a person thinks, and starts it anew. Without an answer everything ends. */
  whileAsking<T>(question: () => Promise<T>): Promise<T>
  /** Stops the clock during work that may wait for a person elsewhere, and starts it anew. */
  readonly pauseDuring: <T>(work: () => Promise<T>) => Promise<T>
}

export function startDeadline(first: number, caller: AbortSignal | undefined): ConnectDeadline {
  const stopper = new AbortController()
  const stop = (reason: unknown) => stopper.abort(reason)
  let ms = first
  const startClock = () => setTimeout(() => stop(new ConnectTimeout(Math.round(ms / 1000))), ms)
  let clock: NodeJS.Timeout | undefined = startClock()
  let isOver = false
  async function pauseDuring<T>(work: () => Promise<T>): Promise<T> {
    clearTimeout(clock)
    try {
      return await work()
    } finally {
      clearTimeout(clock)
      if (!isOver) clock = startClock()
    }
  }
  return {
    signal: caller ? AbortSignal.any([caller, stopper.signal]) : stopper.signal,
    stop,
    restart(anew) {
      ms = anew
      clearTimeout(clock)
      clock = startClock()
    },
    pauseDuring,
    async whileAsking(question) {
      try {
        return await pauseDuring(question)
      } catch (error) {
        stop(error)
        throw error
      }
    },
    [Symbol.dispose]() {
      isOver = true
      clearTimeout(clock)
    },
  }
}
