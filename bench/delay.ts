import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

/** A forwarded port with a delay. */
export interface Delay extends AsyncDisposable {
  readonly port: number
}

/** Forwards data from one socket to the other in order, delaying each chunk by `ms` milliseconds. */
function passLater(from: Socket, to: Socket, ms: number): void {
  from.on('data', (chunk) => void setTimeout(() => to.write(chunk), ms))
  from.on('end', () => void setTimeout(() => to.end(), ms))
  from.on('error', () => to.destroy())
  from.on('close', () => void setTimeout(() => to.destroy(), ms))
}

/**
 * Forwards a port of this computer to the SSH server at `address`, with a round-trip time of `roundTripMs`, as an
 * alternative to netem, which the kernel may not have. A new connection also waits for one round trip, like a TCP
 * handshake.
 */
export async function delayHost(address: string, roundTripMs: number): Promise<Delay> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const host = connect({ host: address, port: 22, noDelay: true, allowHalfOpen: true })
    for (const socket of [client, host]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
    client.pause()
    setTimeout(() => client.resume(), roundTripMs)
    passLater(client, host, roundTripMs / 2)
    passLater(host, client, roundTripMs / 2)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
