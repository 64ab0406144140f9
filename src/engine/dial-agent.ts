import { Agent } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dial } from './engine.ts'

type Opened = (error: Error | null, connection: Duplex) => void

/** Socket methods that node:http calls on idle connections, but that SSH channels do not have. */
const socketMethods = { setKeepAlive() {}, setTimeout() {}, ref() {}, unref() {} }

/** The number of idle connections to keep. Each may occupy one of the few sessions that an SSH server allows. */
const maxFreeSockets = 4

/** An HTTP agent that opens connections with `dial`, which may return any Duplex, and keeps them for reuse. */
export class DialAgent extends Agent {
  readonly #dial: Dial
  #closed = false

  constructor(dial: Dial) {
    super({ keepAlive: true, maxFreeSockets })
    this.#dial = dial
  }

  override createConnection(_options: unknown, opened: Opened): undefined {
    this.#dial().then(
      (connection) => {
        opened(null, 'unref' in connection ? connection : Object.assign(connection, socketMethods))
        if (this.#closed) connection.destroy()
      },
      (error: Error) => (opened as (error: Error) => void)(error),
    )
  }

  override destroy(): void {
    this.#closed = true
    super.destroy()
  }
}
