/** Lets a number of holders in at a time, for each name; the others wait in the order they came. */
export function createGates(limit: number): (name: string) => Promise<() => void> {
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
