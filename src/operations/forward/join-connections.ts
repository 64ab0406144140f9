import type { Duplex } from 'node:stream'

/** Copies data between two connections until both have ended. Each direction ends independently, as with TCP. */
export function joinConnections(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.allowHalfOpen = true
    from.on('error', () => {}) // the 'close' event follows
    from.once('close', () => {
      if (!from.readableEnded) to.destroy()
    })
    from.pipe(to)
  }
}
