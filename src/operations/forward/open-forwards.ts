import { once } from 'node:events'
import { type Server, connect, createServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import type { RemoteListener, SocketAddress, Transport } from '../../transport/transport.ts'
import type { ForwardSpec } from './forward-spec.ts'
import { joinConnections } from './join-connections.ts'
import { readSocksRequest } from './socks.ts'

/** The forwards of one connection to a host. */
export interface Forwards {
  /** Ports and sockets of this computer that lead to the host. `-L` and `-D` */
  readonly local: readonly ForwardSpec[]
  /** Ports and sockets of the host that lead to this computer. `-R` */
  readonly remote: readonly ForwardSpec[]
}

/** Receives lines about what happens on forwards. */
type Report = (line: string) => void

const formatAddress = (address: ForwardSpec['listen']): string =>
  'path' in address ? address.path : `${address.host || 'localhost'}:${address.port}`

/** Connects a client to `target`, or to what it requests by SOCKS. */
async function connectClient(
  client: Duplex,
  target: SocketAddress | undefined,
  open: (address: SocketAddress) => Promise<Duplex>,
  report: Report,
): Promise<void> {
  client.on('error', () => {}) // handled at its close
  try {
    const request = target === undefined ? await readSocksRequest(client) : undefined
    const address = request?.destination ?? target
    if (address === undefined) return
    const server = await open(address).catch((error: unknown) => {
      request?.answer(false)
      throw new Error(`cannot connect to ${formatAddress(address)}: ${messageOf(error)}`)
    })
    request?.answer(true)
    if (client.destroyed) server.destroy()
    else joinConnections(client, server)
  } catch (error) {
    report(messageOf(error))
    client.end(() => client.destroy())
  }
}

/** Connects to an address from this computer. */
async function openFromHere(address: SocketAddress): Promise<Duplex> {
  const socket = connect('path' in address ? address : { ...address, noDelay: true })
  await once(socket, 'connect')
  return socket
}

type Take = (client: Duplex) => void

async function listen(
  options: { readonly host?: string; readonly port: number } | { readonly path: string },
  take: Take,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, take)
  server.listen(options)
  await once(server, 'listening')
  return server
}

/** Listens on 127.0.0.1 and, where there is IPv6, on ::1. */
async function listenOnLoopback(port: number, take: Take): Promise<Server[]> {
  const first = await listen({ host: '127.0.0.1', port }, take)
  const second = await listen({ host: '::1', port }, take).catch((error: unknown) => {
    if (codeOf(error) !== 'EADDRINUSE') return []
    first.close()
    throw error
  })
  return [first, second].flat()
}

/** Listens on this computer. Throws kind `failed` when it cannot. */
async function listenHere(address: ForwardSpec['listen'], take: Take): Promise<AsyncDisposable> {
  try {
    const servers =
      'port' in address && (address.host ?? 'localhost') === 'localhost'
        ? await listenOnLoopback(address.port, take)
        : [
            await listen(
              'port' in address && address.host === '' ? { port: address.port } : address,
              take,
            ),
          ]
    return {
      async [Symbol.asyncDispose]() {
        for (const server of servers) server.close()
      },
    }
  } catch (error) {
    throw new UserError(
      'failed',
      `cannot listen on ${formatAddress(address)} on this computer: ${messageOf(error)}`,
      { hint: 'choose another port, or stop the program that uses it', cause: error },
    )
  }
}

/** Makes the host listen. Throws kind `failed` when it cannot. */
async function listenThere(
  transport: Transport,
  machine: string,
  address: ForwardSpec['listen'],
  take: Take,
): Promise<RemoteListener> {
  const socket =
    'path' in address ? address : { host: address.host ?? 'localhost', port: address.port }
  try {
    return await transport.listen(socket, take)
  } catch (error) {
    if (codeOf(error) !== 'REFUSED') throw error
    throw new UserError(
      'failed',
      `${machine} cannot listen on ${formatAddress(address)}: ${messageOf(error)}`,
      {
        machine,
        hint: 'choose another port, or check AllowTcpForwarding, GatewayPorts and PermitListen in its sshd_config',
        cause: error,
      },
    )
  }
}

/**
 * Forwards ports and sockets until the result is disposed of. Throws kind `failed` when one of them cannot be opened; then none
 * is left open. `report` gets a line for each connection that fails, and for each port that the host chose.
 */
export async function openForwards(
  transport: Transport,
  machine: string,
  { local, remote }: Forwards,
  report: Report,
): Promise<AsyncDisposable> {
  const clients = new Set<Duplex>()
  const listeners: AsyncDisposable[] = []
  const accept =
    (
      target: SocketAddress | undefined,
      open: (address: SocketAddress) => Promise<Duplex>,
      side: string,
    ) =>
    (client: Duplex): void => {
      clients.add(client)
      client.once('close', () => clients.delete(client))
      void connectClient(client, target, open, (problem) => report(`${side}: ${problem}`))
    }
  const forwards = {
    async [Symbol.asyncDispose]() {
      await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]()))
      for (const client of clients) client.destroy()
    },
  }
  try {
    const dial = (address: SocketAddress) => transport.dial(address)
    for (const { listen: address, target } of local)
      listeners.push(await listenHere(address, accept(target, dial, machine)))
    for (const { listen: address, target } of remote) {
      const take = accept(target, openFromHere, 'this computer')
      const listener = await listenThere(transport, machine, address, take)
      listeners.push(listener)
      const isChosen = 'port' in address && address.port === 0
      const to = target === undefined ? 'SOCKS' : formatAddress(target)
      if (isChosen) report(`${machine}: port ${listener.port} is forwarded to ${to}`)
    }
    return forwards
  } catch (error) {
    await forwards[Symbol.asyncDispose]()
    throw error
  }
}
