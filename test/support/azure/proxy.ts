import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

/** An HTTP proxy on loopback that connects to one server for every host. */
export interface CatchingProxy extends AsyncDisposable {
  readonly url: string
  /** All hosts that were requested, and the URLs of plain HTTP requests. */
  readonly asked: readonly string[]
  /** Closes every connection, as a failing network would. */
  cut(): void
}

/**
 * Starts a proxy that connects CONNECT requests for one of `hosts` to `server`, and rejects all other requests. The
 * client cannot reach real hosts.
 */
export async function startProxy(
  hosts: readonly string[],
  server: TlsServer,
): Promise<CatchingProxy> {
  const sockets = new Set<Socket>()
  const asked: string[] = []
  const proxy = createServer(({ url = '' }, response) => {
    asked.push(url)
    response.writeHead(405).end()
  })
  proxy.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
  })
  proxy.on('connect', ({ url = '' }, socket: Socket) => {
    asked.push(url)
    if (!hosts.includes(url.replace(/:443$/, ''))) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      return
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    server.emit('connection', socket)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    asked,
    cut,
    async [Symbol.asyncDispose]() {
      cut()
      proxy.close()
      await once(proxy, 'close')
    },
  }
}
