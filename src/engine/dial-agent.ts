import { Agent, type ClientRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dial } from './engine.ts'

type Opened = (error: Error | null, connection: Duplex) => void

/**
 * Keeps HTTP connections that come from `dial` and uses them again. It asks nothing of them
 * but to be a Duplex: the channels of an SSH connection have no `setKeepAlive` or `unref`.
 */
export class DialAgent extends Agent {
  readonly #dial: Dial
  #closed = false

  constructor(dial: Dial) {
    super({ keepAlive: true, maxFreeSockets: 64 })
    this.#dial = dial
  }

  override createConnection(_options: unknown, opened: Opened): undefined {
    this.#dial().then(
      (connection) => {
        opened(null, connection)
        if (this.#closed) connection.destroy()
      },
      (error: Error) => (opened as (error: Error) => void)(error),
    )
  }

  override keepSocketAlive(connection: Duplex): boolean {
    return !connection.destroyed
  }

  override reuseSocket(_connection: Duplex, request: ClientRequest): void {
    request.reusedSocket = true
  }

  override destroy(): void {
    this.#closed = true
    super.destroy()
  }
}
