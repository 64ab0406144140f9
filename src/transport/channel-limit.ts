/** Permission to open one session. */
export interface SessionSlot {
  /** Returns the permission after the session has ended. */
  give(): void
  /**
   * Reports that the server refused the session, and gives the permission back. If other sessions are open, they are
   * assumed to be the reason: the limit is lowered, and the function returns true to tell the caller to try again.
   */
  refuse(): boolean
}

/**
 * Creates a function that waits for permission to open a session, so that at most `limit` sessions are open. Callers
 * are served in the order in which they called. Aborting the signal ends the wait.
 */
export function createSessionSlots(limit: number): (signal?: AbortSignal) => Promise<SessionSlot> {
  let held = 0
  let allowed = limit
  const waiting: ((slot: SessionSlot) => void)[] = []

  function admit(): void {
    while (held < allowed && waiting.length > 0) {
      held += 1
      const hadOthers = held > 1
      waiting.shift()?.({
        give,
        refuse() {
          const others = hadOthers || held > 1
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
