import { lstat, rm, stat } from 'node:fs/promises'
import { type Server, Socket, connect, createServer } from 'node:net'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { ListeningPort } from '../../broker/server/forwards.ts'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { longestSocketPath } from '../../os/socket-folder.ts'
import { ignored } from '../../os/trace.ts'
import { openLocal } from '../../transport/local/local.ts'
import { listenAt } from '../../transport/sockets/unix-socket.ts'
import type { RemoteListener, SocketAddress } from '../../transport/transport.ts'
import { joinConnections } from './join-connections.ts'

/**
 * The error for an address on which this computer cannot listen, with a hint that depends on the system's error code.
 */
function listenError(address: SocketAddress, thrown: unknown): UserError {
  const cause = (thrown as Error).cause ?? thrown
  const [where, again] =
    'path' in address
      ? [`the socket ${address.path}`, 'choose another path']
      : [`port ${address.port} on ${address.host}`, 'choose another local port: LOCAL:PORT']
  switch (codeOf(cause) ?? '') {
    case 'EADDRINUSE':
      return new UserError('failed', `${where} is already in use`, { cause, hint: again })
    case 'EACCES':
      return new UserError('failed', `you do not have permission to listen on ${where}`, {
        cause,
        hint:
          'path' in address
            ? again
            : 'ports below 1024 require root: choose another local port, such as 8080:80',
      })
    case 'EADDRNOTAVAIL':
      return new UserError(
        'failed',
        `cannot listen on ${where}: this computer does not have that address`,
        {
          cause,
        },
      )
    default:
      return new UserError('failed', `cannot listen on ${where}: ${messageOf(cause)}`, { cause })
  }
}

/** Throws if `path` is too long for a socket, or exists and is not an abandoned socket. */
async function checkSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > longestSocketPath - '.0000000-00'.length) {
    throw new UserError('failed', `the path ${path} is too long for a Unix socket`, {
      hint: 'choose a path shorter than 90 bytes',
    })
  }
  const there = await lstat(path).catch(ignored('broker', 'inspect the socket'))
  if (there === undefined) return
  if (!there.isSocket()) {
    throw new UserError('failed', `${path} exists and is not a socket`, {
      hint: 'choose another path, or remove the file',
    })
  }
  const client = connect(path)
  try {
    await once(client, 'connect')
  } catch {
    return // no program listens on it
  } finally {
    client.destroy()
  }
  throw Object.assign(new Error('another program is listening on the socket'), {
    code: 'EADDRINUSE',
  })
}

/** Listens on a Unix socket (mode 0600). Disposing of it removes the socket, unless it was replaced. */
async function listenOnPath(
  path: string,
  take: (client: Socket) => void,
): Promise<AsyncDisposable> {
  await checkSocketPath(path)
  const server: Server = createServer({ allowHalfOpen: true }, take)
  const inode = await listenAt(server, path)
  return {
    async [Symbol.asyncDispose]() {
      server.close()
      const there = await stat(path).catch(ignored('broker', 'inspect the socket'))
      if (there?.ino === inode) await rm(path, { force: true })
    },
  }
}

/** Closes a connection in such a way that its client sees a failure, not the end of the data. */
function abort(client: Duplex): void {
  if (client instanceof Socket && client.remoteFamily !== undefined) client.resetAndDestroy()
  else client.destroy()
}

/**
 * Accepts connections on an address of this computer, and joins each with a new connection from `dial()`. The accepted
 * connection is reset if the other one fails. Throws kind `failed` if this computer cannot listen there.
 */
export async function listenAndJoin(
  address: SocketAddress,
  dial: () => Promise<Duplex>,
  onClosed: () => void = () => {},
): Promise<ListeningPort> {
  const clients = new Set<Duplex>()
  const take = async (client: Duplex): Promise<void> => {
    clients.add(client)
    client.on('error', () => {}) // the 'close' event follows
    client.once('close', () => {
      clients.delete(client)
      onClosed()
    })
    try {
      const server = await dial()
      if (client.destroyed) return void server.destroy()
      server.once('close', () => server.readableEnded || abort(client))
      joinConnections(client, server)
    } catch {
      abort(client) // `dial` reports the error
    }
  }
  try {
    const listener: RemoteListener =
      'path' in address
        ? await listenOnPath(address.path, (client) => void take(client))
        : await openLocal({}).listen(address, (client) => void take(client))
    let closing: Promise<void> | undefined
    const close = (): Promise<void> =>
      (closing ??= Promise.resolve(listener[Symbol.asyncDispose]()))
    return {
      port: listener.port,
      connections: () => clients.size,
      close,
      async [Symbol.asyncDispose]() {
        await close()
        for (const client of clients) client.destroy()
      },
    }
  } catch (error) {
    throw error instanceof UserError ? error : listenError(address, error)
  }
}
