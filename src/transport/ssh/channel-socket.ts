import type { Duplex } from 'node:stream'
import type { Channel } from 'ssh2'
import { UserError } from '../../errors.ts'
import { refused, SocketStream } from '../sockets/socket-stream.ts'
import type { Connection } from './connection.ts'
import type { SocketAddress } from '../transport.ts'

type Done = (error?: Error | null) => void

/**
 * A forwarded connection that behaves as Node.js sockets do. ssh2's channel does not: it never finishes a
 * write once it is closed, and destroying it emits nothing.
 */
export class ChannelSocket extends SocketStream {
  readonly #channel: Channel
  #writing: Done | undefined

  constructor(channel: Channel, connection: Connection) {
    super()
    this.#channel = channel
    channel
      .on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) channel.pause()
      })
      .on('end', () => {
        const lost = connection.ended() // a channel ends when the host ends it, but also when the connection is lost
        if (lost) this.destroy(lost)
        else this.push(null)
      })
      .on('error', (error: Error) => this.destroy(error))
      .on('close', () => {
        const lost = connection.ended()
        if (lost) this.destroy(lost)
        this.#finishWrite(Object.assign(new Error('the connection is closed'), { code: 'EPIPE' }))
      })
  }

  #finishWrite(error?: Error): void {
    const done = this.#writing
    this.#writing = undefined
    done?.(error)
  }

  override _read(): void {
    this.#channel.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#writing = done
    this.#channel.write(chunk, (error) => this.#finishWrite(error ?? undefined))
  }

  override _final(done: Done): void {
    this.#channel.end()
    done()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#channel.close()
    this.#channel.resume() // discards data that is still in transit
    this.#finishWrite(error ?? undefined)
    done(error)
  }
}

/** SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254 5.1): the server does not allow forwarding at all. */
const prohibited = 1

/** How long a host may take to connect to a socket, in milliseconds. */
const openTimeoutMs = 20_000

/** Connects to a socket from the host. Rejects with code `REFUSED` if the host cannot or may not connect. */
export function openSocket(connection: Connection, address: SocketAddress): Promise<Duplex> {
  const { client } = connection
  return new Promise((resolve, reject) => {
    const ended = connection.ended()
    if (ended) throw ended
    const { machine } = connection.endpoint
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      reject(
        new UserError('unreachable', `${machine} did not connect to ${nameOf(address)} in time`, {
          machine,
          hint: 'the host or the service may be overloaded: try again',
        }),
      )
    }, openTimeoutMs)
    const opened = (error: Error | undefined, channel: Channel) => {
      clearTimeout(timer)
      if (!error && isLate) return channel.close()
      if (!error) return resolve(new ChannelSocket(channel, connection))
      const { reason } = error as Error & { reason?: number }
      const words = error.message.replace('(SSH) Channel open failure: ', '')
      const why = reason === prohibited ? `administratively prohibited: ${words}` : words
      reject(connection.ended() ?? refused(`${nameOf(address)}: ${why || 'refused'}`, error))
    }
    if ('path' in address) client.openssh_forwardOutStreamLocal(address.path, opened)
    else client.forwardOut('127.0.0.1', 0, address.host, address.port, opened)
  })
}

export const nameOf = (address: SocketAddress): string =>
  'path' in address ? address.path : `${address.host}:${address.port}`
