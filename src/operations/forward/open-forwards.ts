import type { Duplex } from 'node:stream'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { openLocal } from '../../transport/local/local.ts'
import type { RemoteListener, SocketAddress, Transport } from '../../transport/transport.ts'
import type { ForwardSpec } from './forward-spec.ts'
import { joinConnections } from './join-connections.ts'
import { readSocksRequest } from './socks.ts'

/** The forwards over one connection to a host. */
export interface Forwards {
  /** Forwards from ports and sockets of this computer to the host (`-L` and `-D`). */
  readonly local: readonly ForwardSpec[]
  /** Forwards from ports and sockets of the host to this computer (`-R`). */
  readonly remote: readonly ForwardSpec[]
}

/** Receives a line for each event of a forward. */
type Report = (line: string) => void

const formatAddress = (address: SocketAddress): string =>
  'path' in address ? address.path : `${address.host || '*'}:${address.port}`

/** One of the two computers at the ends of a forward. */
interface Side {
  readonly transport: Pick<Transport, 'dial' | 'listen'>
  /** The name of the computer in messages. */
  readonly title: string
  /** The name of the machine; absent if the computer is this one. */
  readonly machine?: string
  /** The hint for the error when the computer cannot listen. */
  readonly hint: string
}

/** Connects a client to `target`, or to the destination that it requests with SOCKS. */
async function connectClient(
  client: Duplex,
  target: SocketAddress | undefined,
  { transport, title }: Side,
  report: Report,
): Promise<void> {
  client.on('error', () => {}) // the 'close' event follows
  try {
    const request = target === undefined ? await readSocksRequest(client) : undefined
    const address = request?.destination ?? target
    if (address === undefined) return
    const server = await transport.dial(address).catch((error: unknown) => {
      request?.answer(false)
      throw new Error(`cannot connect to ${formatAddress(address)}: ${messageOf(error)}`)
    })
    request?.answer(true)
    if (client.destroyed) server.destroy()
    else joinConnections(client, server)
  } catch (error) {
    report(`${title}: ${messageOf(error)}`)
    client.end(() => client.destroy())
  }
}

/** Listens on an address of one of the two computers. Throws kind `failed` if that computer refuses. */
async function listenOn(
  { transport, title, machine, hint }: Side,
  address: SocketAddress,
  take: (client: Duplex) => void,
): Promise<RemoteListener> {
  try {
    return await transport.listen(address, take)
  } catch (error) {
    if (codeOf(error) !== 'REFUSED') throw error
    throw new UserError(
      'failed',
      `${title} cannot listen on ${formatAddress(address)}: ${messageOf(error)}`,
      { machine, hint, cause: error },
    )
  }
}

/**
 * Forwards ports and sockets until the result is disposed of. Throws kind `failed` when one of the forwards cannot be
 * opened, after closing the others. `report` is called with a line for each connection that fails, and for each port
 * that a computer chose.
 */
export async function openForwards(
  transport: Transport,
  machine: string,
  { local, remote }: Forwards,
  report: Report,
): Promise<AsyncDisposable> {
  const here: Side = {
    transport: openLocal({}),
    title: 'this computer',
    hint: 'choose another port, or stop the program that is using it',
  }
  const there: Side = {
    ...{ transport, title: machine, machine },
    hint: 'choose another port, or check AllowTcpForwarding, GatewayPorts and PermitListen in sshd_config on the host',
  }
  const clients = new Set<Duplex>()
  const listeners: AsyncDisposable[] = []
  const forward = async (spec: ForwardSpec, from: Side, to: Side): Promise<void> => {
    const { listen: address, target } = spec
    const listener = await listenOn(from, address, (client) => {
      clients.add(client)
      client.once('close', () => clients.delete(client))
      void connectClient(client, target, to, report)
    })
    listeners.push(listener)
    if (!('port' in address) || address.port !== 0) return
    const destination = target === undefined ? 'SOCKS' : formatAddress(target)
    report(`${from.title}: port ${listener.port} is forwarded to ${destination}`)
  }
  const forwards = {
    async [Symbol.asyncDispose]() {
      await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]()))
      for (const client of clients) client.destroy()
    },
  }
  try {
    for (const spec of local) await forward(spec, here, there)
    for (const spec of remote) await forward(spec, there, here)
    return forwards
  } catch (error) {
    await forwards[Symbol.asyncDispose]()
    throw error
  }
}
