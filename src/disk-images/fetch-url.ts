import { once } from 'node:events'
import { type IncomingMessage, get as getHttp } from 'node:http'
import { get as getHttps } from 'node:https'
import { UserError, messageOf } from '../errors.ts'
import { proxyAgent } from '../proxy.ts'

/** How long a server may say nothing, in milliseconds. */
const longestSilence = 30_000

const mostRedirects = 5

/** Published names lead to mirrors. */
const redirects = new Set([301, 302, 303, 307, 308])

async function request(
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const get = url.startsWith('https:') ? getHttps : getHttp
  const sent = get(url, {
    headers: { ...headers, connection: 'close' },
    signal,
    agent: proxyAgent(),
    timeout: longestSilence,
  })
  sent.on('timeout', () => sent.destroy(new Error(`no word for ${longestSilence / 1000} s`)))
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

/**
 * Asks for a URL, through the proxy that the environment names, and follows where it leads. Throws kind
 * `unreachable` where nobody answers, `usage` where there is nothing.
 */
export async function fetchUrl(
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let place = url
  for (let hops = 0; hops <= mostRedirects; hops++) {
    const response = await request(place, headers, signal).catch((error: unknown) => {
      signal.throwIfAborted()
      throw new UserError(
        'unreachable',
        `cannot reach ${new URL(place).host}: ${messageOf(error)}`,
        {
          hint: 'check the network, and HTTPS_PROXY where there is a proxy',
          cause: error,
        },
      )
    })
    const { statusCode = 0, headers: said } = response
    if (!redirects.has(statusCode) || said.location === undefined) {
      if (statusCode === 200 || statusCode === 206 || statusCode === 416) return response
      response.resume()
      throw new UserError(
        statusCode >= 500 ? 'unreachable' : 'usage',
        `${place} is answered with ${statusCode} ${response.statusMessage ?? ''}`.trim(),
        { hint: 'check the image, or try again later' },
      )
    }
    response.resume()
    place = new URL(said.location, place).href
  }
  throw new UserError('usage', `${url} leads from one place to the next`, {
    hint: 'name the place of the image itself',
  })
}
