import type { Duplex, Readable } from 'node:stream'
import type { Read } from './answer.ts'

/** Opens one connection to an engine's API socket. */
export type Dial = () => Promise<Duplex>

export interface EngineRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE' | 'HEAD'
  /** Path without the API version, such as `/containers/json`. */
  readonly path: string
  /** The query parameters. Objects are sent as JSON, as the API expects for `filters`; undefined values are omitted. */
  readonly query?: Readonly<Record<string, string | number | boolean | object | undefined>>
  /** The body of the request, which is sent as JSON. */
  readonly body?: object
  readonly signal?: AbortSignal
  /**
   * How long to wait for data, in milliseconds (default: one minute). For streams, the default applies only until the
   * response starts.
   */
  readonly idleTimeoutMs?: number
}

/**
 * The API of a Docker engine over any connection. Safe for concurrent use. Errors are `UserError`s: kind `failed` for
 * an error that the engine reports, with the engine's message, and for a response that is invalid or too long; kind
 * `unreachable` for a broken connection.
 */
export interface Engine extends AsyncDisposable {
  /** Requests a JSON response, parsed with `read`. */
  json<T>(request: EngineRequest, read: Read<T>): Promise<T>
  /** Requests a stream of JSON documents, one on each line. Exiting the loop ends the request. */
  lines<T>(request: EngineRequest, read: Read<T>): AsyncGenerator<T, void>
  /** Requests a stream. Destroying the body ends the request. */
  stream(request: EngineRequest): Promise<{ readonly contentType: string; readonly body: Readable }>
  /**
   * Requests an upgrade of the connection (RFC 9110 7.8), and returns the connection to the process in the
   * container.
   */
  attach(request: EngineRequest): Promise<Duplex>
}
