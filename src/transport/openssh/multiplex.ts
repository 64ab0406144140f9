import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import ssh2, { type Client } from 'ssh2'
import { skipHandshake } from '../ssh/ssh2-internals.ts'

/*
 * OpenSSH's client shares its connection through a Unix socket (PROTOCOL.mux of OpenSSH). A program that connects to
 * that socket and requests MUX_C_PROXY (section 5; since OpenSSH 7.4) then speaks the SSH connection protocol (RFC 4254)
 * over it, without encryption or padding, so no process is needed for each command or forwarded socket. ssh2 implements
 * that protocol; this file replaces the handshake and the encryption below it.
 */

const [hello, version] = [1, 4]
const [proxyRequest, proxyAccepted] = [0x1000000f, 0x8000000f]
const requestId = 0

/**
 * The maximum length of a packet, in bytes. sshd sends none that are longer: a channel's packets have at most 32 kB of
 * data.
 */
const longestPacket = 1 << 18

const numbers = (...values: readonly number[]): Buffer => {
  const packet = Buffer.alloc(4 + 4 * values.length)
  packet.writeUInt32BE(packet.length - 4, 0)
  values.forEach((value, index) => packet.writeUInt32BE(value, 4 + 4 * index))
  return packet
}

/** Splits a stream of bytes into packets, each of which is preceded by its length. */
class PacketReader {
  #rest: Buffer = Buffer.alloc(0)

  /** Adds bytes and calls `take` for each complete packet. */
  read(chunk: Buffer, take: (packet: Buffer) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32BE(at)
      if (end - at > longestPacket) throw new Error(`a packet of ${end - at} bytes is too long`)
      if (end > bytes.length) break
      take(bytes.subarray(at + 4, end))
      at = end
    }
    this.#rest = bytes.subarray(at)
  }
}

/** Asks the process that listens on the socket to pass the connection protocol through. */
async function requestProxy(socket: Socket): Promise<void> {
  const reader = new PacketReader()
  const expected = [hello, proxyAccepted]
  const accepted = new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      try {
        reader.read(chunk, (packet) => {
          const type = packet.readUInt32BE(0)
          if (type !== expected.shift()) throw new Error(`unexpected multiplexing message ${type}`)
        })
      } catch (error) {
        reject(error)
      }
      if (expected.length > 0) return
      socket.off('data', read).pause()
      resolve()
    }
    socket
      .on('data', read)
      .once('close', () => reject(new Error('the SSH client closed its socket')))
  })
  socket.write(numbers(hello, version))
  socket.write(numbers(proxyRequest, requestId))
  await accepted
}

/** Makes ssh2 speak the connection protocol over a socket whose other end has already logged in. */
function speakOver(socket: Socket): Client {
  const client = new ssh2.Client()
  client.connect({
    sock: socket,
    username: 'nobody', // not used, since the login is complete
    strictVendor: false,
    readyTimeout: 0,
    keepaliveInterval: 0, // global requests are not passed through: the listening process probes the host
  })
  const reader = new PacketReader()
  skipHandshake(client, {
    send: (packet) => socket.writable && socket.write(packet),
    read: (bytes, take) => reader.read(bytes, take),
  })
  return client
}

/** A connection of OpenSSH's client, and the socket through which it is shared. */
export interface SharedConnection {
  readonly client: Client
  readonly stream: Socket
}

/** Joins the connection that is shared at `path`. Rejects if nothing is listening there. */
export async function joinConnection(path: string): Promise<SharedConnection> {
  const stream = connect(path)
  try {
    await once(stream, 'connect')
    await requestProxy(stream)
    return { client: speakOver(stream), stream }
  } catch (error) {
    stream.destroy()
    throw error
  }
}
