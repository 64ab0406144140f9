import type { Duplex } from 'node:stream'
import type { Client, ClientChannel } from 'ssh2'

// Fields of ssh2 1.17 that are not part of its API and have no equivalent there. Only this file names them;
// test/unit/transport/ssh/ssh2-internals.test.ts checks that ssh2 has them.

/** The object with which ssh2's client speaks the SSH protocol on a connection. */
export interface Protocol {
  /** The login methods whose responses are pending, in order. */
  readonly _authsQueue: string[]
  readonly _cipher: {
    allocPacket(length: number): Buffer
    encrypt(packet: Buffer): void
  }
  /** The handlers of the messages from the server. */
  readonly _handlers: {
    EXT_INFO: (protocol: unknown, extensions: readonly { name: string; algs?: string[] }[]) => void
    USERAUTH_FAILURE: (protocol: unknown, methods: string[], partial: boolean) => void
  }
  /** Parses bytes from the server, from `start` to `end`. */
  parse: (chunk: Buffer, start: number, end: number) => void
  signal(channel: number, name: string): void
  windowChange(channel: number, rows: number, columns: number, height: number, width: number): void
}

/** Returns the protocol of a client whose `connect` has been called. */
export function protocolOf(client: Client): Protocol {
  const { _protocol: protocol } = client as unknown as { readonly _protocol: Protocol }
  return protocol
}

/** Returns the release of the server, such as `OpenSSH_9.2p1`; undefined before the server has sent its version. */
export function serverReleaseOf(client: Client): string | undefined {
  const { _remoteVer: release } = client as unknown as { readonly _remoteVer?: string }
  return release
}

/** The fields of {@link Protocol} that {@link skipHandshake} replaces, and the methods that it calls. */
export const replaced = ['start', 'disconnect', '_cipher', '_decipher', '_parse'] as const
export const called = ['_onHeader', '_onPayload'] as const

/** The packets of a connection without a handshake, encryption or padding. */
interface PlainPackets {
  /** Sends a packet, which consists of its length, the padding length 0 and the payload (RFC 4253 6). */
  readonly send: (packet: Buffer) => unknown
  /** Calls `take` with each complete packet, without its length. */
  readonly read: (bytes: Buffer, take: (packet: Buffer) => void) => void
}

/**
 * Makes a client whose `connect` has been called with a socket speak the connection protocol immediately, without a
 * handshake or a login.
 */
export function skipHandshake(client: Client, { send, read }: PlainPackets): void {
  const protocol = protocolOf(client) as unknown as Record<string, unknown>
  const [onHeader, onPayload] = called.map((name) => protocol[name] as (value: unknown) => void)
  Object.assign(protocol, {
    start() {},
    disconnect() {}, // disconnecting would end the connection for everyone who shares it
    _authenticated: true,
    _cipher: {
      allocPacket(length: number) {
        const packet = Buffer.allocUnsafe(4 + 1 + length)
        packet.writeUInt32BE(1 + length, 0)
        packet[4] = 0 // no padding
        return packet
      },
      encrypt: send,
      free() {},
    },
    _decipher: { free() {} },
    _parse(chunk: Buffer, from: number, to: number) {
      read(chunk.subarray(from, to), (packet) => onPayload?.(packet.subarray(1)))
      return to
    },
  })
  onHeader?.({ versions: { software: 'OpenSSH' } })
}

/** Opens a connection to an SSH agent. */
type OpenAgent = (done: (error: Error | undefined, stream?: Duplex) => void) => void

/**
 * Sets the function that a client calls when its host opens a channel to the agent, and allows commands to request
 * forwarding.
 */
export function setForwardedAgent(client: Client, open: OpenAgent): void {
  Object.assign(client, { _agent: { getStream: open } })
}

/** Internal fields of a channel. */
interface ChannelInside {
  readonly outgoing: { readonly id: number; readonly state: string }
  readonly _client: Client
}

/**
 * Returns the ID of a channel and the protocol with which requests can be sent over it even after the end of its input.
 * RFC 4254 5.3 allows such requests, but ssh2's own methods do not. Returns undefined if the channel is closed.
 */
export function requestsOver(
  channel: ClientChannel,
): { readonly id: number; readonly protocol: Protocol } | undefined {
  const { outgoing, _client: client } = channel as unknown as ChannelInside
  const isOpen = outgoing.state === 'open' || outgoing.state === 'eof'
  return isOpen ? { id: outgoing.id, protocol: protocolOf(client) } : undefined
}
