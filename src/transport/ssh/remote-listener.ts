import type { Duplex } from 'node:stream'
import type { AcceptConnection, Client } from 'ssh2'
import { refused } from '../sockets/socket-stream.ts'
import type { RemoteListener, SocketAddress } from '../transport.ts'
import { ChannelSocket, nameOf } from './channel-socket.ts'
import type { Connection } from './connection.ts'

type Take = (accept: AcceptConnection) => void

/**
 * For each client, the handlers of connections to the sockets on which its host listens, keyed by the name of the
 * socket.
 */
const listeners = new WeakMap<Client, Map<string, Take>>()

function listenersOf(client: Client): Map<string, Take> {
  const known = listeners.get(client)
  if (known) return known
  const made = new Map<string, Take>()
  listeners.set(client, made)
  const pass = (name: string, accept: AcceptConnection, reject: () => void) => {
    const take = made.get(name)
    if (take) take(accept)
    else reject()
  }
  client.on('tcp connection', ({ destIP, destPort }, accept, reject) =>
    pass(nameOf({ host: destIP, port: destPort }), accept, reject),
  )
  client.on('unix connection', ({ socketPath }, accept, reject) => pass(socketPath, accept, reject))
  return made
}

/**
 * Asks the host to listen on a socket (RFC 4254 7.1; OpenSSH's PROTOCOL 2.4). Resolves to the port if the socket is a
 * TCP socket.
 */
function request({ client }: Connection, socket: SocketAddress): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null, port?: number) => (error ? reject(error) : resolve(port))
    if ('path' in socket) client.openssh_forwardInStreamLocal(socket.path, done)
    else client.forwardIn(socket.host, socket.port, done)
  })
}

function cancel({ client, stream, ended }: Connection, socket: SocketAddress): Promise<void> {
  return new Promise((resolve) => {
    if (ended() || !stream.writable) return resolve()
    stream.once('close', () => resolve())
    if ('path' in socket) client.openssh_unforwardInStreamLocal(socket.path, () => resolve())
    else client.unforwardIn(socket.host, socket.port, () => resolve())
  })
}

/** Makes the host listen on a socket. Rejects with code `REFUSED` if the host refuses. */
export async function listenOnHost(
  connection: Connection,
  socket: SocketAddress,
  take: (connection: Duplex) => void,
): Promise<RemoteListener> {
  const ended = connection.ended()
  if (ended) throw ended
  const taking = listenersOf(connection.client)
  const port = await request(connection, socket).catch((error: Error) => {
    throw connection.ended() ?? refused(`${nameOf(socket)}: ${error.message}`, error)
  })
  const actual = 'path' in socket ? socket : { host: socket.host, port: port ?? socket.port }
  const name = nameOf(actual)
  taking.set(name, (accept) => take(new ChannelSocket(accept(), connection)))
  return {
    port: 'path' in actual ? undefined : actual.port,
    async [Symbol.asyncDispose]() {
      taking.delete(name)
      await cancel(connection, actual)
    },
  }
}
