import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Agent } from 'agent-base'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { getProxyForUrl } from 'proxy-from-env'

/**
 * Connects through the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for each host, or directly. The AWS SDK
 * reads none of them itself.
 */
export function proxyAgent(): Agent {
  const direct = {
    http: new HttpAgent({ keepAlive: true }),
    https: new HttpsAgent({ keepAlive: true }),
  }
  const agents = new Map<string, HttpsProxyAgent<string>>()
  const through = (proxy: string): HttpsProxyAgent<string> => {
    const agent = agents.get(proxy) ?? new HttpsProxyAgent(proxy, { keepAlive: true })
    agents.set(proxy, agent)
    return agent
  }
  return new (class extends Agent {
    connect: Agent['connect'] = (_request, { host = '', port, secureEndpoint }) => {
      const proxy = getProxyForUrl(`${secureEndpoint ? 'https' : 'http'}://${host}:${port}`)
      if (proxy !== '') return through(proxy)
      return secureEndpoint ? direct.https : direct.http
    }
  })({ keepAlive: true })
}
