import { once } from 'node:events'
import { type Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

/** Options of {@link httpRequest}. */
export interface HttpOptions {
  readonly signal: AbortSignal
  /** The agent that connects, such as a proxy agent (default: a direct connection). */
  readonly agent?: Agent | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** The IP version to connect over (default: either). */
  readonly family?: 4 | 6
  /** How long to wait for data from the server, in milliseconds (default: no limit). */
  readonly idleMs?: number
  /** The form to post (application/x-www-form-urlencoded); without one, the request is a GET. */
  readonly form?: URLSearchParams | undefined
  /** The CA certificates to trust, in PEM format (default: Node.js's own CA certificates). */
  readonly ca?: readonly string[] | undefined
  /** Whether to verify the server's certificate (default: true). */
  readonly rejectUnauthorized?: boolean
}

/**
 * Sends a request over HTTP or HTTPS, and resolves to the response, even if its status is an error. Does not follow
 * redirects.
 */
export async function httpRequest(
  url: URL | string,
  { idleMs, form, headers, ca, ...options }: HttpOptions,
): Promise<IncomingMessage> {
  const send = new URL(url).protocol === 'https:' ? requestHttps : requestHttp
  const request = send(url, {
    ...options,
    ...(ca && { ca: [...ca] }),
    method: form === undefined ? 'GET' : 'POST',
    headers: {
      ...headers,
      ...(form && { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    ...(idleMs !== undefined && { timeout: idleMs }),
  })
  request.on('timeout', () =>
    request.destroy(new Error(`no data received for ${(idleMs ?? 0) / 1000} s`)),
  )
  request.end(form?.toString())
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  request.on('error', () => {}) // errors after this point are emitted by the response
  return response
}

/** Reads a response as UTF-8. Throws if it is longer than `longest` bytes. */
export async function readText(response: IncomingMessage, longest: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > longest) throw new Error(`the response is longer than ${longest} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
