import { Writable } from 'node:stream'
import { inputWindow } from '../protocol.ts'
import type { Wire } from '../frames.ts'

/** The number of bytes that may be buffered for a slow reader. With a smaller buffer, bulk transfers stall. */
export const bufferSize = 1 << 20

/**
 * Creates the standard input of a remote program. A chunk counts as written when the broker has room for the next one.
 * Call `taken` with the number of bytes that the program has read.
 */
export function openRemoteInput(wire: Wire): { stdin: Writable; taken: (count: number) => void } {
  let unacknowledged = 0
  let waiting: (() => void) | undefined
  const acceptNext = () => {
    const done = waiting
    waiting = undefined
    done?.()
  }
  const stdin = new Writable({
    highWaterMark: bufferSize,
    write(chunk: Buffer, _encoding, done) {
      unacknowledged += chunk.length
      wire.bytes(chunk)
      if (unacknowledged <= inputWindow) done()
      else waiting = done
    },
    final(done) {
      wire.end()
      done()
    },
    destroy(error, done) {
      acceptNext()
      done(error)
    },
  })
  return {
    stdin,
    taken(count) {
      unacknowledged -= count
      if (unacknowledged <= inputWindow) acceptNext()
    },
  }
}
