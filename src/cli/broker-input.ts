import { Readable, Writable } from 'node:stream'
import type { HostedCommand, StdinRequest } from '../broker/protocol.ts'
import type { Io } from '../ui/io.ts'

/** The input of a command that runs in the broker. */
interface HostedInput {
  readonly stdin: Io['stdin']
  /** Receives what the client process has read. */
  readonly taken: Writable
  /** Passes on the requests of the command so far, and all later ones. */
  onWant(take: (want: StdinRequest) => void): void
}

/** The input of the client process. The client reads nothing and does not change its terminal until the command needs it. */
export function openHostedInput(look: HostedCommand['stdin']): HostedInput {
  const wants: StdinRequest[] = []
  let take = (want: StdinRequest): void => void wants.push(want)
  let isWanted = false
  let waiting: (() => void) | undefined
  const stdin = new Readable({
    read() {
      if (!isWanted) take({ input: true })
      isWanted = true
      const resume = waiting
      waiting = undefined
      resume?.()
    },
  })
  const taken = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (stdin.push(chunk)) done()
      else waiting = done
    },
    final(done) {
      stdin.push(null)
      done()
    },
  })
  return {
    stdin: Object.assign(stdin, look, { setRawMode: (on: boolean) => take({ raw: on }) }),
    taken,
    onWant(listener) {
      take = listener
      for (const want of wants.splice(0)) listener(want)
    },
  }
}
