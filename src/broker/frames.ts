import type { Socket } from 'node:net'
import { passTraceOn } from '../os/trace.ts'

/** The kinds of frames. */
const kinds = { message: 0, bytes: 1, errors: 2, end: 3, trace: 4 } as const
type Kind = (typeof kinds)[keyof typeof kinds]

/** One byte for the kind, and the length of the content as four bytes, big-endian. */
const headerSize = 5
/** The maximum length of a message, in bytes. A longer one cannot be from fleet. */
const maxMessageBytes = 1 << 24

/**
 * Content up to this length, in bytes, is sent in one write with its header, since copying it is faster than a
 * second write.
 */
const maxCopiedBytes = 8192

const nothing = Buffer.alloc(0)

/** How long the other side may take to close the connection after all data has been sent, in milliseconds. */
const closeTimeoutMs = 5_000

/** Handles received frames. */
export interface Listener {
  readonly message?: (message: never) => void
  /** Data of a connection, or of a program's input or output. */
  readonly bytes?: (chunk: Buffer) => void
  /** Data of a program's standard error. */
  readonly errors?: (chunk: Buffer) => void
  /** The data has ended. */
  readonly end?: () => void
  /** The connection was closed. If the connection is paused, received data may still be unread. */
  readonly closed?: (() => void) | undefined
  /** The connection was closed, and all received data has been passed on. */
  readonly drained?: () => void
}

/**
 * A connection between a client and the broker that carries messages and data in frames. Nothing is read before a
 * listener is set; long content is passed on in chunks without copying.
 */
export class Wire {
  readonly #socket: Socket
  #listener: Listener = {}
  #paused = true
  #rest: Buffer | undefined
  #kind: Kind = kinds.message
  #left = 0

  constructor(socket: Socket) {
    this.#socket = socket
    socket
      .on('data', (chunk) => this.#read(chunk))
      .on('error', () => {}) // handled by the `close` listener
      .on('close', () => {
        this.#listener.closed?.()
        this.#notifyDrained()
      })
      .pause()
  }

  /** Passes everything received from now on to `listener`. */
  listen(listener: Listener): void {
    this.#listener = listener
    if (this.#paused) this.resume()
    else this.#notifyDrained()
    if (this.#socket.destroyed) listener.closed?.()
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#read(Buffer.alloc(0))
    if (this.#paused) return
    this.#socket.resume()
    this.#notifyDrained()
  }

  #notifyDrained(): void {
    if (this.#socket.closed && !this.#paused) this.#listener.drained?.()
  }

  #read(chunk: Buffer): void {
    let rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    while (!this.#paused) {
      const step = this.#left === 0 ? this.#readHeader(rest) : this.#readContent(rest)
      if (step === 0) break
      rest = rest.subarray(step)
    }
    if (rest.length > 0) this.#rest = rest
  }

  /** Parses a header. Returns the number of bytes used. */
  #readHeader(rest: Buffer): number {
    if (rest.length < headerSize) return 0
    this.#kind = rest[0] as Kind
    this.#left = rest.readUInt32BE(1)
    if (this.#kind === kinds.end) this.#listener.end?.()
    if (this.#kind === kinds.message && this.#left > maxMessageBytes) this.destroy()
    return headerSize
  }

  /** Passes on content: data as it arrives, a message once it is complete. Returns the number of bytes used. */
  #readContent(rest: Buffer): number {
    const size = Math.min(this.#left, rest.length)
    const isMessage = this.#kind === kinds.message || this.#kind === kinds.trace
    if (size === 0 || (isMessage && size < this.#left)) return 0
    this.#left -= size
    const content = rest.subarray(0, size)
    if (this.#kind === kinds.message)
      this.#listener.message?.(JSON.parse(content.toString()) as never)
    else if (this.#kind === kinds.errors) this.#listener.errors?.(content)
    else if (this.#kind === kinds.trace) passTraceOn(content.toString())
    else this.#listener.bytes?.(content)
    return size
  }

  #write(kind: Kind, content: Buffer = nothing, done?: () => void): boolean {
    if (!this.#socket.writable) {
      done?.()
      return true
    }
    const isShort = content.length <= maxCopiedBytes
    const head = Buffer.allocUnsafe(headerSize + (isShort ? content.length : 0))
    head[0] = kind
    head.writeUInt32BE(content.length, 1)
    if (isShort) {
      content.copy(head, headerSize)
      return this.#socket.write(head, done)
    }
    this.#socket.cork()
    this.#socket.write(head)
    const hasRoom = this.#socket.write(content, done)
    this.#socket.uncork()
    return hasRoom
  }

  send(message: object): void {
    this.#write(kinds.message, Buffer.from(JSON.stringify(message)))
  }

  /**
   * Sends data; `done` is called when it has been written to the socket. Returns false if the caller should wait for
   * `onceDrained`.
   */
  bytes(chunk: Buffer, done?: () => void): boolean {
    return chunk.length === 0 ? (done?.(), true) : this.#write(kinds.bytes, chunk, done)
  }

  errors(chunk: Buffer): boolean {
    return chunk.length === 0 || this.#write(kinds.errors, chunk)
  }

  /** Sends trace lines, which the other side writes to its trace. */
  trace(lines: string): void {
    this.#write(kinds.trace, Buffer.from(lines))
  }

  end(): void {
    this.#write(kinds.end)
  }

  onceDrained(listener: () => void): void {
    this.#socket.once('drain', listener)
  }

  /**
   * Sends the remaining data and ends this side of the connection. The other side must close the connection: closing it
   * from this side could lose data that the other side has not read yet.
   */
  close(): void {
    this.#listener = { closed: this.#listener.closed }
    this.resume()
    // The timeout starts only after all data has been sent, so a slow reader may take as long as it needs. Data that
    // has been sent can still be read after the connection has ended.
    this.#socket.end(() => {
      const timer = setTimeout(() => this.#socket.destroy(), closeTimeoutMs).unref()
      this.#socket.once('close', () => clearTimeout(timer))
    })
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
