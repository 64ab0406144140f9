/** A request to one of the intercepted hosts. */
export interface Request {
  readonly method: string
  readonly host: string
  /** Path and query as received, not decoded. */
  readonly rawUrl: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** A response. A body is sent as JSON. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** A request, and the response that was sent. */
export interface Exchange {
  readonly request: Request
  readonly answer: Answer
}

/** An error of Resource Manager. */
export class Refusal extends Error {
  readonly answer: Answer

  constructor(
    status: number,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message)
    this.answer = { status, headers, body: { error: { code, message } } }
  }
}
