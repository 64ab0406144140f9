import { Agent as HttpAgent, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { BlockList, isIP } from 'node:net'
import { Agent } from 'agent-base'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { getProxyForUrl } from 'proxy-from-env'
import { codeOf, messageOf } from '../errors.ts'

/** Addresses that lead to services of the host that asks, such as the metadata service of a cloud: no proxy has the same ones. */
const onLink = new BlockList()
onLink.addSubnet('169.254.0.0', 16)
onLink.addSubnet('fe80::', 10, 'ipv6')
onLink.addSubnet('fd00:ec2::', 32, 'ipv6') // of EC2, over IPv6
onLink.addAddress('168.63.129.16') // of Azure's hosts

const isOnLink = (host: string): boolean =>
  isIP(host) !== 0 && onLink.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4')

/**
 * The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for a URL; undefined where it is asked directly, as the metadata
 * service of a cloud always is.
 */
export function proxyFor(url: string): string | undefined {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  return isOnLink(host) ? undefined : getProxyForUrl(url) || undefined
}

/** How a proxy is called in messages: without the password that its URL may have. */
export function describeProxy(proxy: string): string {
  const { protocol, host } = new URL(proxy)
  return `${protocol}//${host}`
}

/** The code of the error where a proxy answers and does not connect. */
export const proxyRefused = 'ERR_PROXY_REFUSED'

/** Connects through a proxy, and tells its failures from those of the server behind it. */
class ProxyAgent extends HttpsProxyAgent<string> {
  override async connect(
    request: ClientRequest,
    options: Parameters<HttpsProxyAgent<string>['connect']>[1],
  ): ReturnType<HttpsProxyAgent<string>['connect']> {
    let answer: Pick<IncomingMessage, 'statusCode'> & { statusText?: string } = {}
    request.once('proxyConnect', (told: typeof answer) => (answer = told))
    const name = describeProxy(this.proxy.href)
    const socket = await super.connect(request, options).catch((error: unknown) => {
      if (answer.statusCode !== undefined) throw error
      throw Object.assign(new Error(`the proxy ${name}: ${messageOf(error)}`, { cause: error }), {
        code: codeOf(error),
      })
    })
    if (answer.statusCode === 200) return socket
    socket.destroy()
    const why = [answer.statusCode, answer.statusText].filter(Boolean).join(' ')
    const message = `the proxy ${name} does not connect to ${options.host}: ${why}`
    throw Object.assign(new Error(message), { code: proxyRefused })
  }
}

/** Connects through the proxy that {@link proxyFor} names for each host, or directly. The AWS SDK reads none of the variables itself. */
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
