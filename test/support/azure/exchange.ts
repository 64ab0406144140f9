/** A request to one of the caught hosts. */
export interface Request {
  readonly method: string
  readonly host: string
  /** As it came: path and query, nothing decoded. */
  readonly rawUrl: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** What is answered. A body is sent as JSON. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** One request and its answer, as the wire had them. */
export interface Exchange {
  readonly request: Request
  readonly answer: Answer
}

/** A refusal, as Resource Manager words it. */
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
