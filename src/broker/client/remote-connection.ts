import { SocketStream } from '../../transport/sockets/socket-stream.ts'
import type { ServerMessage } from '../protocol.ts'
import { deserializeError } from '../serialize-error.ts'
import type { Wire } from '../frames.ts'

type Done = (error?: Error | null) => void

/** A stream, opened by the broker, to a socket on a host. */
export class RemoteConnection extends SocketStream {
  readonly #wire: Wire
  #hasEnded = false

  constructor(wire: Wire, broken: () => Error) {
    super()
    this.#wire = wire
    wire.listen({
      bytes: (chunk) => {
        if (!this.push(chunk)) wire.pause()
      },
      end: () => {
        this.#hasEnded = true
        this.push(null)
      },
      message: (answer: ServerMessage) =>
        'error' in answer && this.destroy(deserializeError(answer.error)),
      drained: () => this.#hasEnded || this.destroy(broken()), // received data can still be read
    })
  }

  override _read(): void {
    this.#wire.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#wire.bytes(chunk, done)
  }

  override _final(done: Done): void {
    this.#wire.end()
    done()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#wire.destroy()
    done(error)
  }
}
