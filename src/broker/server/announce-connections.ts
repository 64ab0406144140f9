import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { refused } from '../../transport/sockets/socket-stream.ts'

/** How long a client may take to accept a connection, in milliseconds. */
const acceptTimeoutMs = 10_000

/** Connections from hosts that the listening client has not accepted yet. */
interface AnnouncedConnections {
  /** Keeps a connection, and returns the ID with which the client accepts it. */
  add(connection: Duplex): string
  /** Removes and returns the connection with this ID. Throws with code `REFUSED` if the connection was closed. */
  accept(id: string): Duplex
}

/** Keeps the connections that were announced to clients. Closes connections that are not accepted in time. */
export function announceConnections(): AnnouncedConnections {
  const waiting = new Map<string, { readonly connection: Duplex; readonly timer: NodeJS.Timeout }>()
  return {
    add(connection) {
      const id = randomUUID()
      const timer = setTimeout(() => connection.destroy(), acceptTimeoutMs).unref()
      waiting.set(id, { connection, timer })
      connection.on('error', () => {}) // reported when the connection closes
      connection.once('close', () => {
        clearTimeout(timer)
        waiting.delete(id)
      })
      return id
    },
    accept(id) {
      const announced = waiting.get(id)
      if (announced === undefined) throw refused('the connection was closed')
      clearTimeout(announced.timer)
      waiting.delete(id)
      return announced.connection
    },
  }
}
