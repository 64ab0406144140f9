/**
 * The maximum number of simultaneous handshakes with one sshd, which drops connections beyond ten (MaxStartups
 * 10:30:100).
 */
export const handshakesAtOnce = 10

interface Address {
  readonly address: string
  readonly port?: number | undefined
}

/** Returns the name under which handshakes with an sshd are limited. */
export const limiterKey = ({ address, port = 22 }: Address): string => `${address} ${port}`

/**
 * Creates a function that waits for a turn, so that at most `limit` callers with the same name have a turn at the same
 * time. Callers get their turns in the order in which they called. The function resolves to another function, which
 * ends the turn.
 */
export function createHandshakeLimiter(limit: number): (name: string) => Promise<() => void> {
  const slots = new Map<string, { held: number; readonly waiting: (() => void)[] }>()
  return async (name) => {
    const slot = slots.get(name) ?? { held: 0, waiting: [] }
    slots.set(name, slot)
    if (slot.held >= limit) await new Promise<void>((resolve) => slot.waiting.push(resolve))
    else slot.held += 1
    return () => {
      const next = slot.waiting.shift()
      if (next !== undefined) return next()
      slot.held -= 1
      if (slot.held === 0) slots.delete(name)
    }
  }
}
