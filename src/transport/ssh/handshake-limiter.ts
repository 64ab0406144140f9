/**
 * The maximum number of simultaneous handshakes with one sshd, which drops connections beyond ten (MaxStartups
 * 10:30:100).
 */
export const handshakesAtOnce = 10

interface Address {
  readonly address: string
  readonly port?: number | undefined
}

/** Returns the name of the limit for an sshd. */
export const limiterKey = ({ address, port = 22 }: Address): string => `${address} ${port}`

/**
 * Creates a function that waits for a turn, so that at most `limit` callers with the same name have a turn at the same
 * time. First come, first served. The function resolves to another function, which ends the turn.
 */
export function createHandshakeLimiter(limit: number): (name: string) => Promise<() => void> {
  const gates = new Map<string, { held: number; readonly waiting: (() => void)[] }>()
  return async (name) => {
    const gate = gates.get(name) ?? { held: 0, waiting: [] }
    gates.set(name, gate)
    if (gate.held >= limit) await new Promise<void>((resolve) => gate.waiting.push(resolve))
    else gate.held += 1
    return () => {
      const next = gate.waiting.shift()
      if (next !== undefined) return next()
      gate.held -= 1
      if (gate.held === 0) gates.delete(name)
    }
  }
}
