import { Agent } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dial } from './engine.ts'

type Opened = (error: Error | null, connection: Duplex) => void

/** What node:http asks of a connection that it keeps, and a channel of SSH does not have. */
const socketMethods = { setKeepAlive() {}, setTimeout() {}, ref() {}, unref() {} }

/** How many connections rest: each may hold one of the few sessions that an SSH server gives. */
const maxFreeSockets = 4

/** Keeps HTTP connections, which may be any Duplex, and uses them again. New ones come from `dial`. */
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
