import { once } from 'node:events'
import { type AddressInfo, SocketAddress as IpAddress } from 'node:net'
import type { Duplex } from 'node:stream'

/** The destination that a SOCKS client wants to connect to. */
type Destination = Pick<AddressInfo, 'port'> & { readonly host: string }

/** A SOCKS client's request, and the function that answers it. */
interface SocksRequest {
  readonly destination: Destination
  /** Reports to the client whether the requested connection was made. */
  answer(isConnected: boolean): void
}

const [socks4, socks5, connectCommand] = [4, 5, 1]

async function readBytes(stream: Duplex, count: number): Promise<Buffer> {
  for (;;) {
    const bytes = stream.read(count) as Buffer | null
    if (bytes?.length === count) return bytes
    if (bytes !== null || stream.readableEnded || stream.destroyed) throw new Error('interrupted')
    await once(stream, 'readable')
  }
}

/** The maximum length of a user name or host name in SOCKS 4, in bytes. */
const longestName = 255

/** Reads text up to a NUL byte. */
async function readText(stream: Duplex): Promise<string> {
  let text = ''
  for (;;) {
    const [byte = 0] = await readBytes(stream, 1)
    if (byte === 0) return text
    text += String.fromCharCode(byte)
    if (text.length > longestName) throw new Error('a name in the SOCKS request is too long')
  }
}

/** Reads a SOCKS 4 or 4a request. In SOCKS 4a, an address 0.0.0.x indicates that a host name follows. */
async function readSocks4(stream: Duplex): Promise<SocksRequest> {
  const [granted, rejected] = [0x5a, 0x5b]
  const reply = (code: number) => void stream.write(Buffer.from([0, code, 0, 0, 0, 0, 0, 0]))
  const head = await readBytes(stream, 7)
  await readText(stream) // the user name, which is ignored
  const address = head.subarray(3)
  const isNamed = address.readUInt32BE() < 256 && address.readUInt32BE() !== 0
  const host = isNamed ? await readText(stream) : address.join('.')
  if (head[0] !== connectCommand) {
    reply(rejected)
    throw new Error(`the SOCKS command ${head[0]} is not supported`)
  }
  return {
    destination: { host, port: head.readUInt16BE(1) },
    answer: (isConnected) => reply(isConnected ? granted : rejected),
  }
}

/** Reads an address of SOCKS 5 (RFC 1928 5). */
async function readAddress(stream: Duplex, type: number | undefined): Promise<string> {
  if (type === 1) return (await readBytes(stream, 4)).join('.')
  if (type === 4) {
    const bytes = await readBytes(stream, 16)
    const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index))
    const address = groups.map((group) => group.toString(16)).join(':')
    return new IpAddress({ address, family: 'ipv6' }).address
  }
  if (type !== 3) throw new Error(`the SOCKS address type ${type} is not supported`)
  const [length = 0] = await readBytes(stream, 1)
  return (await readBytes(stream, length)).toString('latin1')
}

/** Reads a request of SOCKS 5 without authentication (RFC 1928). */
async function readSocks5(stream: Duplex): Promise<SocksRequest> {
  const [noAuthentication, noneAcceptable] = [0, 0xff]
  const [succeeded, refused, unsupported] = [0, 5, 7]
  const [count = 0] = await readBytes(stream, 1)
  const methods = count === 0 ? Buffer.alloc(0) : await readBytes(stream, count)
  if (!methods.includes(noAuthentication)) {
    stream.write(Buffer.from([socks5, noneAcceptable]))
    throw new Error('the SOCKS client requires authentication')
  }
  stream.write(Buffer.from([socks5, noAuthentication]))
  const [, command, , type] = await readBytes(stream, 4)
  const reply = (code: number) =>
    void stream.write(Buffer.from([socks5, code, 0, 1, 0, 0, 0, 0, 0, 0]))
  const host = await readAddress(stream, type)
  const port = (await readBytes(stream, 2)).readUInt16BE()
  if (command !== connectCommand) {
    reply(unsupported)
    throw new Error(`the SOCKS command ${command} is not supported`)
  }
  return {
    destination: { host, port },
    answer: (isConnected) => reply(isConnected ? succeeded : refused),
  }
}

/**
 * Reads the request of a SOCKS client. Rejects if the client does not use SOCKS, or requests anything other than a
 * connection.
 */
export async function readSocksRequest(stream: Duplex): Promise<SocksRequest> {
  const [version] = await readBytes(stream, 1)
  if (version === socks4) return await readSocks4(stream)
  if (version === socks5) return await readSocks5(stream)
  throw new Error('the client does not use SOCKS')
}
