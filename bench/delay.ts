import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

/** A way to a host on which everything takes its time. */
export interface Delay extends AsyncDisposable {
  readonly port: number
}

/** Passes on what comes from one end to the other, each piece so many milliseconds later, in order. */
function passLater(from: Socket, to: Socket, ms: number): void {
  from.on('data', (chunk) => void setTimeout(() => to.write(chunk), ms))
  from.on('end', () => void setTimeout(() => to.end(), ms))
  from.on('error', () => to.destroy())
  from.on('close', () => void setTimeout(() => to.destroy(), ms))
}

/**
 * Listens on a port of this computer that leads to the SSH server at `address` as over a line with a round trip of
 * `roundTripMs`. The kernel here has no netem; a connection is made to wait a round trip as its handshake would.
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
