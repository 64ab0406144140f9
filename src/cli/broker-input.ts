import { Readable, Writable } from 'node:stream'
import type { HostedCommand, StdinRequest } from '../broker/protocol.ts'
import type { Io } from '../ui/io.ts'

/** The input of a command that the broker runs. */
interface HostedInput {
  readonly stdin: Io['stdin']
  /** Where to write what the process that asked has read. */
  readonly taken: Writable
  /** Hands over what the command has wanted so far, and what it wants from now on. */
  onWant(take: (want: StdinRequest) => void): void
}

/** The input is that of the process that asked, which reads nothing, and leaves its terminal alone, until that is wanted. */
export function openHostedInput(look: HostedCommand['stdin']): HostedInput {
  const wants: StdinRequest[] = []
  let take = (want: StdinRequest): void => void wants.push(want)
  let isWanted = false
  let waiting: (() => void) | undefined
  const stdin = new Readable({
    read() {
      if (!isWanted) take({ input: true })
      isWanted = true
      const goOn = waiting
      waiting = undefined
      goOn?.()
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
