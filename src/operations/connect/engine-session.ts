/*
 * A client and an engine talk HTTP/1.1 over one connection. If a response with a Content-Length or with chunked
 * encoding is truncated, every client reports an error. If a connection that was upgraded to a byte stream (attach,
 * exec) is cut off, clients notice nothing: it looks like the end of the output. docker then asks for the exit code of
 * the exec, which the engine reports as 0 while the command is running.
 */

/**
 * How long requests for the exit code of an exec are refused after its output was cut off, in milliseconds. Clients
 * send them immediately.
 */
const unknownMs = 30_000

/** The maximum number of bytes of a request or response head to examine. Heads that begin a stream are short. */
const longestHead = 16_384

const requestLine = /^[A-Z]+ \S+ HTTP\/1\.[01]\r\n/
const beginsStream =
  /^POST (?:\/v[\d.]+)?\/(?:exec\/(?<exec>[^/?\s]+)\/start|containers\/[^/?\s]+\/attach)[?\s]/
const asksExitCode = /^GET (?:\/v[\d.]+)?\/exec\/(?<exec>[^/?\s]+)\/json[?\s]/

/**
 * docker-py reads the head of a response through a buffer, but the rest directly from the socket, so it loses data that
 * arrives together with the head.
 */
const losesData = /^user-agent: *docker-sdk-python\//im

const headEnd = '\r\n\r\n'
/**
 * `101 Switching Protocols`, or the response to clients that do not ask for an upgrade: one whose body has no declared
 * length.
 */
const isUpgraded = (head: string): boolean =>
  head.startsWith('HTTP/1.1 101 ') ||
  (head.startsWith('HTTP/1.1 200 ') &&
    /^content-type: *application\/vnd\.docker\.(?:raw|multiplexed)-stream/im.test(head) &&
    !/^(?:content-length|transfer-encoding):/im.test(head))

/** A 503 response to any request, in the error format of the Engine API. */
export function unavailable(message: string): string {
  const body = JSON.stringify({ message })
  return [
    'HTTP/1.1 503 Service Unavailable',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}

const frameHeader = 8
/** The stream type of frames in which an engine reports an error ("Stream format" of ContainerAttach). */
const engineError = 3

/** Tracks the position in a stream of frames. The output of a terminal is not divided into frames. */
class FramePosition {
  #header = Buffer.alloc(0)
  #left = 0
  #isFramed = true

  advance(chunk: Buffer): void {
    for (let at = 0; this.#isFramed && at < chunk.length;) {
      if (this.#left > 0) {
        const size = Math.min(this.#left, chunk.length - at)
        this.#left -= size
        at += size
        continue
      }
      const more = chunk.subarray(at, at + frameHeader - this.#header.length)
      at += more.length
      this.#header = Buffer.concat([this.#header, more])
      if (this.#header.length < frameHeader) return
      this.#isFramed = (this.#header[0] ?? 0) <= engineError && this.#header.readUIntBE(1, 3) === 0
      this.#left = this.#header.readUInt32BE(4)
      this.#header = Buffer.alloc(0)
    }
  }

  /** Whether the stream is between two frames, where a new frame may be inserted. */
  isAtBoundary(): boolean {
    return this.#isFramed && this.#left === 0 && this.#header.length === 0
  }
}

/** The execs whose output was cut off recently, each with the reason. */
export class CutExecs {
  readonly #cut = new Map<string, { readonly why: string; readonly at: number }>()

  add(id: string, why: string): void {
    const now = performance.now()
    for (const [known, { at }] of this.#cut) if (now - at > unknownMs) this.#cut.delete(known)
    this.#cut.set(id, { why, at: now })
  }

  why(id: string): string | undefined {
    const found = this.#cut.get(id)
    return found && performance.now() - found.at <= unknownMs ? found.why : undefined
  }
}

/**
 * Follows one connection between a client and an engine, so that an interruption can be reported in a form that the
 * client understands.
 */
export class EngineSession {
  readonly #cut: CutExecs
  /** The pending request that may turn the connection into a stream; undefined once its response has arrived. */
  #asked:
    | { readonly exec: string | undefined; readonly losesData: boolean; head: string }
    | undefined
  #stream: { readonly exec: string | undefined; readonly position: FramePosition } | undefined
  #isWaiting = false

  constructor(cut: CutExecs) {
    this.#cut = cut
  }

  /** Processes data from the client. Returns a response if the request must not be passed to the engine. */
  fromClient(chunk: Buffer): string | undefined {
    if (this.#stream) return undefined
    const start = chunk.toString('latin1', 0, longestHead)
    if (!requestLine.test(start)) return undefined // not a request head, but part of a body
    this.#isWaiting = true
    const begins = beginsStream.exec(start)
    this.#asked = begins
      ? { exec: begins.groups?.['exec'], losesData: losesData.test(start), head: '' }
      : undefined
    const exec = asksExitCode.exec(start)?.groups?.['exec']
    const why = exec === undefined ? undefined : this.#cut.why(exec)
    return why && unavailable(`${why}; the command's exit code is unknown`)
  }

  /**
   * Processes data from the engine. Returns the number of leading bytes to write separately, for clients that would
   * otherwise lose the rest; undefined to write all data together.
   */
  fromEngine(chunk: Buffer): number | undefined {
    this.#isWaiting = false
    this.#stream?.position.advance(chunk)
    const asked = this.#asked
    if (asked === undefined) return undefined
    const before = asked.head.length
    asked.head += chunk.toString('latin1')
    const end = asked.head.indexOf(headEnd)
    if (end === -1 && asked.head.length < longestHead) return undefined
    this.#asked = undefined
    if (end === -1 || !isUpgraded(asked.head.slice(0, end + headEnd.length))) return undefined
    this.#stream = { exec: asked.exec, position: new FramePosition() }
    const size = end + headEnd.length - before
    if (asked.losesData) return size
    this.#stream.position.advance(chunk.subarray(size))
    return undefined
  }

  /**
   * Called when the connection to the engine is lost. Returns the data to send to the client before closing the
   * client's connection.
   */
  cutOff(message: string): Buffer | string {
    if (!this.#stream) return this.#isWaiting ? unavailable(message) : ''
    const { exec, position } = this.#stream
    if (exec !== undefined) this.#cut.add(exec, message)
    if (!position.isAtBoundary()) return ''
    const text = Buffer.from(message)
    const header = Buffer.alloc(frameHeader)
    header[0] = engineError
    header.writeUInt32BE(text.length, 4)
    return Buffer.concat([header, text])
  }
}
