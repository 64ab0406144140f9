import type { Socket } from 'node:net'
import { passTraceOn } from '../os/trace.ts'

/** What a frame holds. */
const kinds = { message: 0, bytes: 1, errors: 2, end: 3, trace: 4 } as const
type Kind = (typeof kinds)[keyof typeof kinds]

/** A byte of kind, and the length of the content as four bytes, the highest first. */
const headerSize = 5
/** A message is a request at most; what claims to be longer comes from no fleet. */
const longestMessage = 1 << 24

/** Short content goes in one piece with its header, which takes less time than a copy. */
const longestCopied = 8192

const nothing = Buffer.alloc(0)

/** How long the other side may take to close, once all is out. */
const goodbyeMs = 5_000

/** What is done with what comes. */
export interface Listener {
  readonly message?: (message: never) => void
  /** Bytes of a connection, of a program's input or of its output. */
  readonly bytes?: (chunk: Buffer) => void
  /** Bytes of a program's standard error. */
  readonly errors?: (chunk: Buffer) => void
  /** No more bytes come. */
  readonly end?: () => void
  /** The connection is no more; what came before may still be unread, where it is paused. */
  readonly closed?: (() => void) | undefined
  /** The connection is no more, and all that came has been handed over. */
  readonly over?: () => void
}

/**
 * A connection between a command and the broker, which carries messages and bytes in frames. Nothing is read
 * before somebody listens; content that is long is passed on piece by piece and never copied.
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
      .on('error', () => {}) // told by its close
      .on('close', () => {
        this.#listener.closed?.()
        this.#tellOver()
      })
      .pause()
  }

  /** Hands all that comes from now on to `listener`. */
  listen(listener: Listener): void {
    this.#listener = listener
    if (this.#paused) this.resume()
    else this.#tellOver()
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
    this.#tellOver()
  }

  #tellOver(): void {
    if (this.#socket.closed && !this.#paused) this.#listener.over?.()
  }

  #read(chunk: Buffer): void {
    let rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    while (!this.#paused) {
      const step = this.#left === 0 ? this.#begin(rest) : this.#pass(rest)
      if (step === 0) break
      rest = rest.subarray(step)
    }
    if (rest.length > 0) this.#rest = rest
  }

  /** Reads a header. Gives how many bytes that took. */
  #begin(rest: Buffer): number {
    if (rest.length < headerSize) return 0
    this.#kind = rest[0] as Kind
    this.#left = rest.readUInt32BE(1)
    if (this.#kind === kinds.end) this.#listener.end?.()
    if (this.#kind === kinds.message && this.#left > longestMessage) this.destroy()
    return headerSize
  }

  /** Passes content on: bytes as far as they are there, a message once it is whole. */
  #pass(rest: Buffer): number {
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
    const isShort = content.length <= longestCopied
    const head = Buffer.allocUnsafe(headerSize + (isShort ? content.length : 0))
    head[0] = kind
    head.writeUInt32BE(content.length, 1)
    if (isShort) {
      content.copy(head, headerSize)
      return this.#socket.write(head, done)
    }
    this.#socket.cork()
    this.#socket.write(head)
    const isRoomy = this.#socket.write(content, done)
    this.#socket.uncork()
    return isRoomy
  }

  send(message: object): void {
    this.#write(kinds.message, Buffer.from(JSON.stringify(message)))
  }

  /** Sends bytes; `done` is called once they are on their way. False: better wait for `onceRoomy`. */
  bytes(chunk: Buffer, done?: () => void): boolean {
    return chunk.length === 0 ? (done?.(), true) : this.#write(kinds.bytes, chunk, done)
  }

  errors(chunk: Buffer): boolean {
    return chunk.length === 0 || this.#write(kinds.errors, chunk)
  }

  /** Sends lines of the trace, which the other side writes where its own lines go. */
  trace(lines: string): void {
    this.#write(kinds.trace, Buffer.from(lines))
  }

  end(): void {
    this.#write(kinds.end)
  }

  onceRoomy(go: () => void): void {
    this.#socket.once('drain', go)
  }

  /** Sends what is left and says goodbye. The other side is to close: else what it has not read could be lost. */
  close(): void {
    this.#listener = { closed: this.#listener.closed }
    this.resume()
    // What is out can be read after the end, too; until then the other side takes the time that its reader does.
    this.#socket.end(() => {
      const timer = setTimeout(() => this.#socket.destroy(), goodbyeMs).unref()
      this.#socket.once('close', () => clearTimeout(timer))
    })
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
