/*
 * A client and an engine over one connection of HTTP/1.1. An answer with a length, or in chunks, that is cut short fails in
 * every client. A connection that both have turned into a stream of bytes (attach, exec) does not: there its end is the end of the
 * output. docker then asks for the exit code of the exec, which the engine says to be 0 as long as the command runs.
 */

/** How long the exit code of an exec stays unknown after its output was cut off, in milliseconds: clients ask at once. */
const unknownMs = 30_000

/** A request's first line is short where it begins a stream; what is longer is not looked at. */
const longestHead = 16_384

const requestLine = /^[A-Z]+ \S+ HTTP\/1\.[01]\r\n/
const beginsStream =
  /^POST (?:\/v[\d.]+)?\/(?:exec\/(?<exec>[^/?\s]+)\/start|containers\/[^/?\s]+\/attach)[?\s]/
const asksExitCode = /^GET (?:\/v[\d.]+)?\/exec\/(?<exec>[^/?\s]+)\/json[?\s]/

/** docker-py reads the head of an answer with a buffer, and what follows without: it loses what came together with the head. */
const losesData = /^user-agent: *docker-sdk-python\//im

const headEnd = '\r\n\r\n'
/** `101 Switching Protocols`, or what engines answer to clients that do not ask for it: a body of no length. */
const isUpgraded = (head: string): boolean =>
  head.startsWith('HTTP/1.1 101 ') ||
  (head.startsWith('HTTP/1.1 200 ') &&
    /^content-type: *application\/vnd\.docker\.(?:raw|multiplexed)-stream/im.test(head) &&
    !/^(?:content-length|transfer-encoding):/im.test(head))

/** The answer of an engine that cannot be reached, to whatever is asked (as the Engine API words its errors). */
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
/** The kind of a frame in which an engine tells that it failed halfway ("Stream format" of ContainerAttach). */
const engineError = 3

/** Where a stream is among frames; what a terminal prints has none. */
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

  /** Whether a frame may begin here. */
  isAtBoundary(): boolean {
    return this.#isFramed && this.#left === 0 && this.#header.length === 0
  }
}

/** The execs of an engine whose output was cut off a moment ago, and why. */
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

/** Follows one connection between a client and an engine, to know what to tell the client where it is cut. */
export class EngineConversation {
  readonly #cut: CutExecs
  /** The request that may turn the connection into a stream, until its answer tells. */
  #asked:
    | { readonly exec: string | undefined; readonly losesData: boolean; head: string }
    | undefined
  #stream: { readonly exec: string | undefined; readonly position: FramePosition } | undefined
  #isWaiting = false

  constructor(cut: CutExecs) {
    this.#cut = cut
  }

  /** A piece of what the client says. Gives an answer to it where the engine is not to be asked. */
  fromClient(chunk: Buffer): string | undefined {
    if (this.#stream) return undefined
    const start = chunk.toString('latin1', 0, longestHead)
    if (!requestLine.test(start)) return undefined // more of a body
    this.#isWaiting = true
    const begins = beginsStream.exec(start)
    this.#asked = begins
      ? { exec: begins.groups?.['exec'], losesData: losesData.test(start), head: '' }
      : undefined
    const exec = asksExitCode.exec(start)?.groups?.['exec']
    const why = exec === undefined ? undefined : this.#cut.why(exec)
    return why && unavailable(`${why}; the exit code of the command is unknown`)
  }

  /** A piece of what the engine says. Gives how much of it the client is to read before the rest is passed, as a piece of its own. */
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

  /** The connection to the engine is lost. Gives what to end the client's side with. */
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
