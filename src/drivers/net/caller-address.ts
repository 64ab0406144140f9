import type { Agent } from 'node:http'
import { isIP } from 'node:net'
import { UserError, messageOf } from '../../errors.ts'
import type { Call } from '../driver.ts'
import { httpRequest, readText } from '../../os/http-request.ts'
import { describeProxy, proxyAgent, proxyFor } from '../../os/proxy.ts'
import type { Environment } from '../../os/environment.ts'

/** AWS services that return the caller's address. */
const services = {
  4: 'https://checkip.amazonaws.com',
  6: 'https://checkip.global.api.aws',
} as const

/**
 * Request timeouts in milliseconds: `requestTimeout` for the last attempt, and `firstRequestTimeout` for an attempt
 * that is followed by another one.
 */
const requestTimeout = 5_000
const firstRequestTimeout = 3_000

/** Maximum length of an accepted response, in characters. */
const longestAnswer = 1 << 16

/** The public address of this computer, and the service that reported it. */
export interface CallerAddress {
  readonly address: string
  readonly source: string
}

/**
 * Queries a service for this computer's public address: the service at FLEET_CHECKIP_URL, or else an AWS service.
 * Connects directly, as SSH does, and through a proxy only if the direct connection fails. Throws kind `unreachable` if
 * neither works.
 */
async function queryCallerAddress(
  env: Environment,
  family: 4 | 6,
  { signal }: Call,
): Promise<CallerAddress> {
  const url = env['FLEET_CHECKIP_URL'] || services[family]
  const query = async (agent: Agent | undefined, ms: number, source: string) => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(ms)])
    const response = await httpRequest(url, { family, agent, signal: within })
    const address = (await readText(response, longestAnswer)).trim()
    if (response.statusCode !== 200) throw new Error(`HTTP status ${response.statusCode}`)
    if (isIP(address) !== family)
      throw new Error(`unexpected response ${JSON.stringify(address.slice(0, 60))}`)
    return { address, source }
  }
  try {
    const proxy = proxyFor(url)
    if (proxy === undefined) return await query(undefined, requestTimeout, url)
    return await query(undefined, firstRequestTimeout, url).catch(async () => {
      signal.throwIfAborted()
      const route = `through the proxy ${describeProxy(proxy)}, which SSH does not use`
      return query(proxyAgent(), requestTimeout, `${url} (${route})`)
    })
  } catch (error) {
    signal.throwIfAborted()
    throw new UserError(
      'unreachable',
      `could not detect your public address with ${url}: ${messageOf(error)}`,
      {
        hint: 'check the network, or set the address yourself: --ssh-cidr ADDRESS',
        cause: error,
      },
    )
  }
}

/** Returns this computer's public IPv4 or IPv6 address. */
export type GetCallerAddress = (family: 4 | 6, call: Call) => Promise<CallerAddress>

/** Returns a function that queries each address family only once, regardless of the number of hosts. */
export function cacheCallerAddress(env: Environment): GetCallerAddress {
  const cached = new Map<4 | 6, Promise<CallerAddress>>()
  return (family, call) => {
    const address = cached.get(family) ?? queryCallerAddress(env, family, call)
    cached.set(family, address)
    address.catch(() => cached.delete(family))
    return address
  }
}
