import { Agent as HttpAgent, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { BlockList, isIP } from 'node:net'
import { Agent } from 'agent-base'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { getProxyForUrl } from 'proxy-from-env'
import { codeOf, messageOf } from '../errors.ts'

/**
 * Link-local services of the host itself, such as the metadata service of a cloud, which are never reached through a
 * proxy.
 */
const onLink = new BlockList()
onLink.addSubnet('169.254.0.0', 16)
onLink.addSubnet('fe80::', 10, 'ipv6')
onLink.addSubnet('fd00:ec2::', 32, 'ipv6') // the metadata service of EC2, over IPv6
onLink.addAddress('168.63.129.16') // the platform services of Azure

const isOnLink = (host: string): boolean =>
  isIP(host) !== 0 && onLink.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4')

/**
 * Returns the proxy for a URL according to HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; undefined for a direct
 * connection.
 */
export function proxyFor(url: string): string | undefined {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  return isOnLink(host) ? undefined : getProxyForUrl(url) || undefined
}

/** Formats the URL of a proxy for messages, without user and password. */
export function describeProxy(proxy: string): string {
  const { protocol, host } = new URL(proxy)
  return `${protocol}//${host}`
}

/** The error `code` when the proxy responded but refused to connect. */
export const proxyRefused = 'ERR_PROXY_REFUSED'

/** Connects through a proxy. Its errors name the proxy, which distinguishes them from the server's errors. */
class ProxyAgent extends HttpsProxyAgent<string> {
  override async connect(
    request: ClientRequest,
    options: Parameters<HttpsProxyAgent<string>['connect']>[1],
  ): ReturnType<HttpsProxyAgent<string>['connect']> {
    let response: Pick<IncomingMessage, 'statusCode'> & { statusText?: string } = {}
    request.once('proxyConnect', (received: typeof response) => (response = received))
    const name = describeProxy(this.proxy.href)
    const socket = await super.connect(request, options).catch((error: unknown) => {
      if (response.statusCode !== undefined) throw error
      throw Object.assign(new Error(`proxy ${name}: ${messageOf(error)}`, { cause: error }), {
        code: codeOf(error),
      })
    })
    if (response.statusCode === 200) return socket
    socket.destroy()
    const why = [response.statusCode, response.statusText].filter(Boolean).join(' ')
    const message = `proxy ${name} refused to connect to ${options.host}: ${why}`
    throw Object.assign(new Error(message), { code: proxyRefused })
  }
}

/** Creates an agent that uses {@link proxyFor} for each host. The AWS SDK does not read the proxy variables itself. */
export function proxyAgent(): Agent {
  const direct = {
    http: new HttpAgent({ keepAlive: true }),
    https: new HttpsAgent({ keepAlive: true }),
  }
  const agents = new Map<string, ProxyAgent>()
  const through = (proxy: string): ProxyAgent => {
    const agent = agents.get(proxy) ?? new ProxyAgent(proxy, { keepAlive: true })
    agents.set(proxy, agent)
    return agent
  }
  return new (class extends Agent {
    connect: Agent['connect'] = (_request, { host = '', port, secureEndpoint }) => {
      const name = isIP(host) === 6 ? `[${host}]` : host
      const proxy = proxyFor(`${secureEndpoint ? 'https' : 'http'}://${name}:${port}`)
      if (proxy !== undefined) return through(proxy)
      return secureEndpoint ? direct.https : direct.http
    }
  })({ keepAlive: true })
}
