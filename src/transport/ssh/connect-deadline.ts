import { ConnectTimeout } from './connection-errors.ts'

/** The time limit for connecting. */
export interface ConnectDeadline extends Disposable {
  /**
   * Aborted when the time is up, when the caller aborts, or when `stop` is called. The reason is the error to throw.
   */
  readonly signal: AbortSignal
  stop(reason: unknown): void
  /** Restarts the timer with a new limit, in milliseconds. */
  restart(ms: number): void
  /**
   * Stops the timer while the user answers a question, and then restarts it. If the user does not answer, aborts
   * `signal`.
   */
  whileAsking<T>(question: () => Promise<T>): Promise<T>
  /** Stops the timer during work that may wait for the user, such as signing by an agent, and then restarts it. */
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
    restart(newMs) {
      ms = newMs
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
