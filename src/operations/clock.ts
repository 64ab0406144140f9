/** A clock for time limits. It can be paused while the user answers a prompt, so that this time does not count. */
export interface Clock {
  /** Milliseconds since an arbitrary point in time. */
  now(): number
  /** Calls `expire` after `ms` milliseconds. The returned function cancels the timer. */
  start(ms: number, expire: () => void): () => void
}

/** A clock that can be paused. */
export interface PausableClock extends Clock {
  pause(): void
  resume(): void
}

interface Timer {
  readonly end: number
  readonly expire: () => void
  timeout: NodeJS.Timeout | undefined
}

/** Creates a running clock. */
export function createClock(): PausableClock {
  const timers = new Set<Timer>()
  let pausedAt: number | undefined
  let paused = 0
  const now = () => (pausedAt ?? performance.now()) - paused
  const run = (timer: Timer) => {
    const ring = () => {
      timers.delete(timer)
      timer.expire()
    }
    timer.timeout = setTimeout(ring, Math.max(0, timer.end - now()))
  }
  return {
    now,
    start(ms, expire) {
      const timer: Timer = { end: now() + ms, expire, timeout: undefined }
      timers.add(timer)
      if (pausedAt === undefined) run(timer)
      return () => {
        clearTimeout(timer.timeout)
        timers.delete(timer)
      }
    },
    pause() {
      pausedAt ??= performance.now()
      for (const { timeout } of timers) clearTimeout(timeout)
    },
    resume() {
      if (pausedAt === undefined) return
      paused += performance.now() - pausedAt
      pausedAt = undefined
      for (const timer of timers) run(timer)
    },
  }
}
