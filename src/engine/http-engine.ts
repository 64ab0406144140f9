import { type IncomingMessage, request as startRequest } from 'node:http'
import { type Duplex, PassThrough, finished } from 'node:stream'
import { UserError, codeOf, messageOf } from '../errors.ts'
import { InvalidResponse, type Read, object, optional, text } from './answer.ts'
import { commonVersion, isOlder, likelyVersion, newestVersion } from './api-version.ts'
import { IdleTimeout, readBody } from './body.ts'
import { DialAgent } from './dial-agent.ts'
import type { Dial, Engine, EngineRequest } from './engine.ts'
import { splitLines } from './lines.ts'
import { trace, traceWork } from '../os/trace.ts'

/**
 * Opens the HTTP API of an engine (https://docs.docker.com/reference/api/engine/) over connections from `dial`. `label`
 * names the machine in errors.
 *
 * To save a round trip, the first request uses the API version of `release` (the recorded release of the engine), or
 * the newest version if the release is unknown. An older engine rejects the request and reports its own version, which
 * is used from then on.
 */
export function openEngine(
  dial: Dial,
  { label, release }: { label: string; release?: string | undefined },
): Engine {
  const agent = new DialAgent(dial)
  let version = likelyVersion(release)

  /** Sends a request. Throws a `UserError` when the connection breaks. */
  async function send(target: string, sending: Sending): Promise<IncomingMessage> {
    try {
      const action = `${sending.method ?? 'GET'} ${target.replace(/\?.*/s, '')} of ${label}`
      return await traceWork(
        'engine',
        action,
        () => exchange(agent, target, sending),
        (answer) => `${answer.statusCode}`,
      )
    } catch (thrown) {
      throw failureOf(thrown, label, sending.signal)
    }
  }

  /**
   * Returns the API version to try after a response with status 400, in case the API version was the cause; undefined
   * if that version is `asked` or cannot be determined.
   */
  async function otherVersion(refusal: IncomingMessage, asked: string, signal: Sending['signal']) {
    const theirs =
      refusal.headers['api-version'] ?? (await send('/_ping', { signal })).headers['api-version']
    if (typeof theirs !== 'string') return undefined
    const common = commonVersion(theirs, label)
    if (isOlder(common, theirs)) await checkOldest(signal)
    return common === asked ? undefined : common
  }

  /** Throws kind `unsupported` when the engine no longer supports any version that fleet supports. */
  async function checkOldest(signal: Sending['signal']): Promise<void> {
    const answer = await send('/version', { signal })
    const { MinAPIVersion: oldest } = await parse(answer, { signal }, readOldest)
    if (oldest === undefined || !isOlder(newestVersion, oldest)) return
    throw new UserError(
      'unsupported',
      `the engine requires API ${oldest} or later; this version of fleet supports ${newestVersion} or earlier`,
      { machine: label, hint: 'upgrade fleet' },
    )
  }

  /** Parses the body of a response with `read`. */
  async function parse<T>(
    answer: IncomingMessage,
    { signal, idleTimeoutMs = defaultIdleTimeoutMs }: Sending,
    read: Read<T>,
  ): Promise<T> {
    try {
      const body = await readBody(answer, { limit: longestAnswer, idleTimeoutMs })
      return read(body === '' ? undefined : parseJson(body), '')
    } catch (thrown) {
      throw failureOf(thrown, label, signal)
    }
  }

  /**
   * Sends a request in the API version of the engine. Limits the number of retries, since a faulty engine may name
   * another version each time.
   */
  async function ask(request: EngineRequest & Sending, retries = 2): Promise<IncomingMessage> {
    const asked = version
    const answer = await send(`/v${asked}${targetOf(request)}`, request)
    const status = answer.statusCode ?? 0
    if (status < 300 || status === 304) return answer // 101 after an upgrade
    const { signal, idleTimeoutMs = defaultIdleTimeoutMs } = request
    const words = await readBody(answer, { limit: longestRefusal, idleTimeoutMs }).catch(
      (thrown: unknown) => {
        throw failureOf(thrown, label, signal)
      },
    )
    const mayDiffer = status === 400 && retries > 0
    const other = mayDiffer ? await otherVersion(answer, asked, signal) : undefined
    if (other === undefined) throw refusal(answer, words, label)
    version = other
    trace('engine', `${label} uses API ${other}: retry with this version`)
    return ask(request, retries - 1)
  }

  return {
    async json(request, read) {
      return parse(await ask(request), request, read)
    },

    async *lines(request, read) {
      const answer = await ask(request)
      try {
        for await (const line of splitLines(answer, longestLine)) {
          if (line.length >= longestLine) throw new InvalidResponse('a response line is too long')
          const document = line.toString().trim()
          if (document !== '') yield read(parseJson(document), '')
        }
      } catch (thrown) {
        throw failureOf(thrown, label, request.signal)
      } finally {
        answer.destroy()
      }
    },

    async stream(request) {
      const answer = await ask(request)
      const body = new PassThrough()
      // Uses `finished`, because an error before this point is not emitted again.
      finished(answer, (error) => error && body.destroy(failureOf(error, label, request.signal)))
      body.on('close', () => answer.destroy())
      answer.pipe(body)
      if (request.idleTimeoutMs !== undefined) destroyWhenIdle(answer, body, request.idleTimeoutMs)
      return { contentType: answer.headers['content-type'] ?? '', body }
    },

    async attach(request) {
      let connection: Duplex | undefined
      const answer = await ask({ ...request, upgraded: (socket) => (connection = socket) })
      if (connection !== undefined) return connection
      answer.destroy()
      throw new UserError(
        'unsupported',
        `the engine did not upgrade the connection for ${request.path}`,
        {
          machine: label,
        },
      )
    },

    async [Symbol.asyncDispose]() {
      agent.destroy()
    },
  }
}

/** Maximum length of a response, in bytes. A list of ten thousand containers is 15 MB long. */
const longestAnswer = 1 << 25
const longestRefusal = 1 << 16
/** Maximum length of a line in a stream, in bytes. Each line is one event or one reading. */
const longestLine = 1 << 20

/** How long to wait for data, in milliseconds. */
const defaultIdleTimeoutMs = 60_000

const readOldest = object<{ readonly MinAPIVersion: string | undefined }>({
  MinAPIVersion: optional(text),
})

type Sending = {
  readonly method?: EngineRequest['method'] | undefined
  readonly body?: object | undefined
  readonly signal?: AbortSignal | undefined
  readonly idleTimeoutMs?: number | undefined
  /** Requests an upgrade of the connection (RFC 9110 7.8), and is called with the upgraded connection. */
  readonly upgraded?: ((connection: Duplex) => void) | undefined
}

/** Sends one HTTP request. Resolves to the response when its headers have arrived. */
function exchange(agent: DialAgent, path: string, sending: Sending): Promise<IncomingMessage> {
  const { method = 'GET', body, signal, upgraded, idleTimeoutMs = defaultIdleTimeoutMs } = sending
  const content = body && JSON.stringify(body)
  const headers = {
    ...(content !== undefined && {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(content),
    }),
    ...(upgraded && { Connection: 'Upgrade', Upgrade: 'tcp' }),
  }
  return new Promise((resolve, reject) => {
    let hasAnswer = false
    // Without TLS, no server name is needed. An empty one saves node:http from checking whether `host` is an address.
    const options = { agent, host: 'docker', servername: '', path, method, headers }
    const request = startRequest({ ...options, ...(signal && { signal }) }, resolve)
    const idleTimer = setTimeout(
      () => request.destroy(new IdleTimeout(idleTimeoutMs)),
      idleTimeoutMs,
    ).unref()
    request.on('close', () => clearTimeout(idleTimer))
    request.once('response', () => {
      hasAnswer = true
      clearTimeout(idleTimer)
    })
    request.on('error', (error) => {
      // The engine may have closed all idle connections. A request that does not change anything is retried until it
      // gets a new connection.
      const stale = request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '')
      if (stale && !hasAnswer && (method === 'GET' || method === 'HEAD')) {
        resolve(exchange(agent, path, sending))
      } else reject(error)
    })
    request.once('upgrade', (answer, connection, head: Buffer) => {
      clearTimeout(idleTimer)
      if (upgraded === undefined) {
        connection.destroy()
        reject(
          new InvalidResponse(
            'the server upgraded the connection although no upgrade was requested',
          ),
        )
        return
      }
      if (head.length > 0) connection.unshift(head)
      upgraded(connection)
      resolve(answer)
    })
    request.end(content)
  })
}

/** Returns the request target (RFC 9112 3.2) without the API version. */
function targetOf({ path, query = {} }: EngineRequest): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    parameters.set(name, typeof value === 'object' ? JSON.stringify(value) : String(value))
  }
  return parameters.size === 0 ? path : `${path}?${parameters.toString()}`
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new InvalidResponse(`the response body is not JSON: ${body.slice(0, 200).trim()}`)
  }
}

/** Destroys a response when no data arrives for `ms` milliseconds, unless a slow reader is the cause. */
function destroyWhenIdle(answer: IncomingMessage, body: PassThrough, ms: number): void {
  const idleTimer = setTimeout(() => {
    if (body.writableNeedDrain) idleTimer.refresh()
    else answer.destroy(new IdleTimeout(ms))
  }, ms)
  answer.on('data', () => idleTimer.refresh()).on('close', () => clearTimeout(idleTimer))
}

/** Creates the error for an engine's error response: `{"message": …}`, or plain text. */
function refusal(answer: IncomingMessage, body: string, machine: string): UserError {
  const fallback = body.trim().slice(0, 1000) || `HTTP ${answer.statusCode} ${answer.statusMessage}`
  return new UserError('failed', messageIn(body) ?? fallback, { machine })
}

function messageIn(body: string): string | undefined {
  try {
    const { message } = JSON.parse(body) as { message?: unknown }
    return typeof message === 'string' && message !== '' ? message : undefined
  } catch {
    return undefined
  }
}

/**
 * Returns the error to throw for `thrown`: the abort reason if the request was aborted, else a `UserError`. Bugs are
 * not wrapped.
 */
function failureOf(thrown: unknown, machine: string, signal: AbortSignal | undefined): Error {
  if (signal?.aborted === true) return signal.reason as Error
  if (thrown instanceof UserError) return thrown
  if (thrown instanceof InvalidResponse) {
    const message = `cannot read the response from the engine: ${thrown.message}`
    return new UserError('failed', message, { machine, cause: thrown })
  }
  if (thrown instanceof IdleTimeout) {
    const message = `the engine did not answer: ${thrown.message}`
    return new UserError('unreachable', message, { machine, cause: thrown })
  }
  if (codeOf(thrown) === undefined) return thrown as Error
  const why = messageOf(thrown)
  // This is how node:http reports a truncated response.
  const message = why === 'aborted' ? 'was lost in the middle of a response' : `was lost: ${why}`
  return new UserError('unreachable', `the connection to the engine ${message}`, {
    machine,
    cause: thrown,
  })
}
