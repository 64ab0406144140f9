import { get } from 'node:https'
import { get as getPlain } from 'node:http'
import { isIP } from 'node:net'
import { UserError, messageOf } from '../errors.ts'
import type { Call } from './driver.ts'
import { proxyAgent } from '../proxy.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Services of AWS that answer with the address they are asked from. */
const services = {
  4: 'https://checkip.amazonaws.com',
  6: 'https://checkip.global.api.aws',
} as const

const answerWithin = 5_000

/** The text at a URL, asked for over IPv4 or IPv6. */
function fetchText(url: string, family: 4 | 6, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const read = url.startsWith('https:') ? get : getPlain
    const within = AbortSignal.any([signal, AbortSignal.timeout(answerWithin)])
    read(url, { family, agent: proxyAgent(), signal: within }, (response) => {
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

/** Which address the internet sees this computer at, and who said so. */
export interface CallerAddress {
  readonly address: string
  readonly source: string
}

/**
 * Asks a service which address this computer comes from: FLEET_CHECKIP_URL, else AWS's own. Throws kind `unreachable`
 * where none answers.
 */
async function findCallerAddress(
  env: Environment,
  family: 4 | 6,
  { signal }: Call,
): Promise<CallerAddress> {
  const source = env['FLEET_CHECKIP_URL'] || services[family]
  try {
    const address = (await fetchText(source, family, signal)).trim()
    if (isIP(address) !== family) throw new Error(`answer ${JSON.stringify(address.slice(0, 60))}`)
    return { address, source }
  } catch (error) {
    signal.throwIfAborted()
    throw new UserError(
      'unreachable',
      `${source} does not say which address you come from: ${messageOf(error)}`,
      {
        hint: 'say it yourself: --ssh-cidr ADDRESS',
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
