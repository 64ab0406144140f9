import type { IncomingMessage } from 'node:http'
import { UserError, messageOf } from '../errors.ts'
import { httpRequest } from '../os/http-request.ts'
import { proxyAgent } from '../os/proxy.ts'

/** How long a server may go without sending data, in milliseconds. */
const dataTimeout = 30_000

const maxRedirects = 5

/** Status codes of the redirects to follow: published URLs redirect to mirrors. */
const redirects = new Set([301, 302, 303, 307, 308])

/**
 * Returns the target of a redirect. Throws kind `usage` if it is not an HTTP or HTTPS URL, or if it leads from HTTPS to
 * HTTP.
 */
function followRedirect(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (to?.protocol === 'https:') return to
  if (to?.protocol === 'http:' && from.protocol === 'http:') return to
  throw new UserError(
    'usage',
    `the redirect from ${from.href} to ${to?.href ?? location} was refused: the target is not an HTTPS URL`,
    {
      hint: 'use another URL, or contact the server operator',
    },
  )
}

/**
 * Sends a GET request, through the proxy set in the environment, and follows redirects, but never from HTTPS to HTTP.
 * Throws kind `unreachable` if there is no response, and `usage` for a client error (4xx).
 */
export async function fetchUrl(
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let place = new URL(url)
  const options = {
    headers: { ...headers, connection: 'close' },
    ...{ signal, agent: proxyAgent(), idleMs: dataTimeout },
  }
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const response = await httpRequest(place, options).catch((error: unknown) => {
      signal.throwIfAborted()
      throw new UserError('unreachable', `cannot reach ${place.host}: ${messageOf(error)}`, {
        hint: 'check the network; if you use a proxy, set HTTPS_PROXY',
        cause: error,
      })
    })
    const { statusCode = 0, headers: responseHeaders } = response
    if (!redirects.has(statusCode) || responseHeaders.location === undefined) {
      if (statusCode === 200 || statusCode === 206 || statusCode === 416) return response
      response.resume()
      const status = `${statusCode} ${response.statusMessage ?? ''}`.trim()
      throw new UserError(
        statusCode >= 500 ? 'unreachable' : 'usage',
        `the server returned ${status} for ${place.href}`,
        { hint: 'check the URL, or try again later' },
      )
    }
    response.resume()
    place = followRedirect(place, responseHeaders.location)
  }
  throw new UserError('usage', `too many redirects from ${url}`, {
    hint: "use the image's final URL",
  })
}
