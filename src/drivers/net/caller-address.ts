import { get } from 'node:https'
import { type Agent, get as getPlain } from 'node:http'
import { isIP } from 'node:net'
import { UserError, messageOf } from '../../errors.ts'
import type { Call } from '../driver.ts'
import { describeProxy, proxyAgent, proxyFor } from '../../os/proxy.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Services of AWS that answer with the address they are asked from. */
const services = {
  4: 'https://checkip.amazonaws.com',
  6: 'https://checkip.global.api.aws',
} as const

/** How long a service may take, in milliseconds; less where it may be asked another way. */
const answerWithin = 5_000
const answerSoon = 3_000

/** The text at a URL, asked for over IPv4 or IPv6. Without an agent, directly. */
function fetchText(
  url: string,
  { family, agent }: { readonly family: 4 | 6; readonly agent?: Agent | undefined },
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const read = url.startsWith('https:') ? get : getPlain
    read(url, { family, agent, signal }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`answer ${response.statusCode}`))
      })
    }).on('error', reject)
  })
}

/** Which address the internet sees this computer at, and who said so, in which way. */
export interface CallerAddress {
  readonly address: string
  readonly source: string
}

/**
 * Asks a service which address this computer comes from: FLEET_CHECKIP_URL, else AWS's own. It is asked directly, as SSH connects, and
 * through a proxy only where it does not answer so. Throws kind `unreachable` where none answers.
 */
async function findCallerAddress(
  env: Environment,
  family: 4 | 6,
  { signal }: Call,
): Promise<CallerAddress> {
  const url = env['FLEET_CHECKIP_URL'] || services[family]
  const ask = async (agent: Agent | undefined, ms: number, source: string) => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(ms)])
    const address = (await fetchText(url, { family, agent }, within)).trim()
    if (isIP(address) !== family) throw new Error(`answer ${JSON.stringify(address.slice(0, 60))}`)
    return { address, source }
  }
  try {
    const proxy = proxyFor(url)
    if (proxy === undefined) return await ask(undefined, answerWithin, url)
    return await ask(undefined, answerSoon, url).catch(async () => {
      signal.throwIfAborted()
      const way = `through the proxy ${describeProxy(proxy)}, which SSH does not use`
      return ask(proxyAgent(), answerWithin, `${url} (${way})`)
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

/** Asks which address this computer has, over IPv4 or IPv6. */
export type AskCaller = (family: 4 | 6, call: Call) => Promise<CallerAddress>

/** Asks each question once, however many hosts are planned. */
export function askCallerOnce(env: Environment): AskCaller {
  const asked = new Map<4 | 6, Promise<CallerAddress>>()
  return (family, call) => {
    const answer = asked.get(family) ?? findCallerAddress(env, family, call)
    asked.set(family, answer)
    answer.catch(() => asked.delete(family))
    return answer
  }
}
