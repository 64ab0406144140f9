import type { Duplex, Readable } from 'node:stream'
import type { Read } from './answer.ts'

/** Opens one connection to an engine's API socket. */
export type Dial = () => Promise<Duplex>

export interface EngineRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE' | 'HEAD'
  /** Path without the API version, such as `/containers/json`. */
  readonly path: string
  /** Objects are sent as JSON, as the API wants for `filters`; undefined ones are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | object | undefined>>
  /** Sent as JSON. */
  readonly body?: object
  readonly signal?: AbortSignal
  /**
   * How long nothing may come while an answer is waited for, in milliseconds; a minute unless told. Of one that goes on,
   * that is for its beginning unless told.
   */
  readonly patienceMs?: number
}

/**
 * A Docker engine behind any connection. Safe for concurrent use. A refusal by the
 * engine is a `UserError` of kind `failed` that carries the engine's own words; so is an answer that is not what the API
 * says, or that is too long.
 */
export interface Engine extends AsyncDisposable {
  /** One answer, parsed from JSON, as `read` takes it. */
  json<T>(request: EngineRequest, read: Read<T>): Promise<T>
  /** An answer that goes on: JSON documents, one a line. Leaving the loop ends the request. */
  lines<T>(request: EngineRequest, read: Read<T>): AsyncGenerator<T, void>
  /** An answer that goes on: the body as it comes. Destroying it ends the request. */
  stream(request: EngineRequest): Promise<{ readonly contentType: string; readonly body: Readable }>
  /** Turns the request's connection into one to a process: it carries input and outputs, until it ends. */
  attach(request: EngineRequest): Promise<Duplex>
}
