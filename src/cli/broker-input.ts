import { Readable, Writable } from 'node:stream'
import type { HostedCommand, StdinRequest } from '../broker/protocol.ts'
import type { Io } from '../ui/io.ts'

/** The standard input of a command that runs in the broker. */
interface HostedInput {
  readonly stdin: Io['stdin']
  /** Receives the data that the client process has read from its standard input. */
  readonly taken: Writable
  /** Passes all requests to `handle`: those that the command has already made, and all later ones. */
  onStdinRequest(handle: (want: StdinRequest) => void): void
}

/**
 * Opens the client process's standard input for a command. Until the command needs input, the client reads nothing and
 * does not change its terminal.
 */
export function openHostedInput(look: HostedCommand['stdin']): HostedInput {
  const requests: StdinRequest[] = []
  let handle = (want: StdinRequest): void => void requests.push(want)
  let isRequested = false
  let waiting: (() => void) | undefined
  const stdin = new Readable({
    read() {
      if (!isRequested) handle({ input: true })
      isRequested = true
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
    stdin: Object.assign(stdin, look, { setRawMode: (on: boolean) => handle({ raw: on }) }),
    taken,
    onStdinRequest(listener) {
      handle = listener
      for (const want of requests.splice(0)) listener(want)
    },
  }
}
