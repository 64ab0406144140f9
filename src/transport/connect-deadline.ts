import { ConnectTimeout } from './ssh-failure.ts'

/** The time there is to connect. */
export interface ConnectDeadline extends Disposable {
  /** Aborted when the time is over, when the caller aborts, or by `stop`; its reason is the error. */
  readonly signal: AbortSignal
  stop(reason: unknown): void
  /** Starts the clock anew, with another time in milliseconds. */
  restart(ms: number): void
  /** Stops the clock while a person thinks, and starts it anew. Without an answer everything ends. */
  whileAsking<T>(question: () => Promise<T>): Promise<T>
}

export function startDeadline(first: number, caller: AbortSignal | undefined): ConnectDeadline {
  const stopper = new AbortController()
  const stop = (reason: unknown) => stopper.abort(reason)
  let ms = first
  const startClock = () => setTimeout(() => stop(new ConnectTimeout(Math.round(ms / 1000))), ms)
  let clock = startClock()
  return {
    signal: caller ? AbortSignal.any([caller, stopper.signal]) : stopper.signal,
    stop,
    restart(anew) {
      ms = anew
      clearTimeout(clock)
      clock = startClock()
    },
    async whileAsking(question) {
      clearTimeout(clock)
      try {
        return await question()
      } catch (error) {
        stop(error)
        throw error
      } finally {
        clock = startClock()
      }
    },
    [Symbol.dispose]: () => clearTimeout(clock),
  }
}
