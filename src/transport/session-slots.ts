/** A limit on how many may run at once. */
export interface SessionSlots {
  /** Waits for a slot, in order. */
  take(): Promise<void>
  give(): void
  /** Lowers the limit to what is held beside the caller's own, who was refused. False when that is nothing. */
  lower(): boolean
}

/** Counts sessions, `limit` at most at a time. */
export function createSessionSlots(limit: number): SessionSlots {
  let held = 0
  let allowed = limit
  const waiting: (() => void)[] = []
  const admit = () => {
    while (held < allowed && waiting.length > 0) {
      held += 1
      waiting.shift()?.()
    }
  }
  return {
    take: () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        admit()
      }),
    give() {
      held -= 1
      admit()
    },
    lower() {
      if (held < 2) return false
      allowed = Math.min(allowed, held - 1)
      return true
    },
  }
}
