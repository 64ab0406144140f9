/** The right to one session. */
export interface SessionSlot {
  /** The session is over. */
  give(): void
  /**
   * The server would not open the session: gives the slot back. Where others held a slot meanwhile, they
   * are taken for the reason: the limit falls, and true says to try again.
   */
  refuse(): boolean
}

/** Gives slots for sessions in order, `limit` at most at a time. Whoever aborts the signal waits no longer. */
export function createSessionSlots(limit: number): (signal?: AbortSignal) => Promise<SessionSlot> {
  let held = 0
  let allowed = limit
  const waiting: ((slot: SessionSlot) => void)[] = []

  function admit(): void {
    while (held < allowed && waiting.length > 0) {
      held += 1
      const crowded = held > 1
      waiting.shift()?.({
        give,
        refuse() {
          const others = crowded || held > 1
          if (others) allowed = Math.max(1, Math.min(allowed, held - 1))
          give()
          return others
        },
      })
    }
  }
  function give(): void {
    held -= 1
    admit()
  }

  return (signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const leave = () => {
        const place = waiting.indexOf(take)
        if (place >= 0) waiting.splice(place, 1)
        reject(signal?.reason)
      }
      const take = (slot: SessionSlot) => {
        signal?.removeEventListener('abort', leave)
        resolve(slot)
      }
      signal?.addEventListener('abort', leave, { once: true })
      waiting.push(take)
      admit()
    })
}
