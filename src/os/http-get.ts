import { once } from 'node:events'
import { type Agent, type IncomingMessage, get as getHttp } from 'node:http'
import { get as getHttps } from 'node:https'

/** How a GET request is sent. */
export interface GetOptions {
  readonly signal: AbortSignal
  /** The agent that connects, such as that of a proxy (default: a direct connection). */
  readonly agent?: Agent | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** Connects over this version of IP only. */
  readonly family?: 4 | 6
  /** How long the server may send nothing, in milliseconds (default: no limit). */
  readonly idleMs?: number
}

/** Sends a GET request over HTTP or HTTPS, and resolves to the response, also if its status is an error. Follows no redirects. */
export async function httpGet(
  url: URL | string,
  { idleMs, ...options }: GetOptions,
): Promise<IncomingMessage> {
  const get = new URL(url).protocol === 'https:' ? getHttps : getHttp
  const request = get(url, { ...options, ...(idleMs !== undefined && { timeout: idleMs }) })
  request.on('timeout', () => request.destroy(new Error(`no data for ${(idleMs ?? 0) / 1000} s`)))
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  request.on('error', () => {}) // an error after the response is the response's
  return response
}

/** Reads a response as text. Throws if it is longer than `longest` characters. */
export async function readText(response: IncomingMessage, longest: number): Promise<string> {
  let text = ''
  for await (const part of response.setEncoding('utf8')) {
    text += String(part)
    if (text.length > longest) throw new Error('the answer is too long')
  }
  return text
}
