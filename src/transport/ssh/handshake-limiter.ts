/** sshd's MaxStartups (10:30:100) drops what exceeds ten handshakes at once. */
export const handshakesAtOnce = 10

interface Address {
  readonly address: string
  readonly port?: number | undefined
}

/** The name of the gate before an sshd. */
export const limiterKey = ({ address, port = 22 }: Address): string => `${address} ${port}`

/** Lets a number of holders in at a time, for each name; the others wait in the order they came. */
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
