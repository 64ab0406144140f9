import { EC2Client, type EC2ClientConfig } from '@aws-sdk/client-ec2'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { proxyAgent } from '../../../os/proxy.ts'
import type { Ask } from '../../driver.ts'

/** Where requests go, and with whose credentials; what is absent the environment or the profile says. */
interface Where {
  readonly region?: string | undefined
  readonly profile?: string | undefined
}

/** How a client repeats a request: what is there of the SDK's options. */
type Repetition = Pick<EC2ClientConfig, 'retryMode' | 'maxAttempts'>

/** The SDK's clients: one for each region, profile and way to repeat requests. */
export type ClientOf = (where: Where, repetition?: Repetition) => EC2Client

const say = (): void => {}
/** What the SDK would say on stderr, about its own plans and about the environment, is not for fleet's users. */
const silence = { trace: say, debug: say, info: say, warn: say, error: say }

/**
 * Opens clients of EC2 by the SDK's standard chain: environment, profiles, SSO, web identity, instance metadata. All of them share
 * what the first one learns: how far this computer's clock is off, and the credentials of a profile, so that a code of an MFA device
 * is asked for once.
 */
export function openClients(ask: Ask | undefined): ClientOf {
  // The SDK warns whoever runs an older Node.js of its own plans; what fleet supports is fleet's word.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true'
  const agent = proxyAgent()
  const requestHandler = new NodeHttpHandler({
    httpAgent: agent,
    httpsAgent: agent as never,
    connectionTimeout: 10_000,
    requestTimeout: 30_000,
    throwOnRequestTimeout: true,
  })
  const clients = new Map<string, EC2Client>()
  const credentials = new Map<string | undefined, EC2Client['config']['credentials']>()
  let systemClockOffset = 0

  /** The SDK passes `mfaCodeProvider` on to the profiles that want a code, though its type does not name it. */
  const mfa = ask && {
    mfaCodeProvider: (serial: string) =>
      ask({ text: `Code of the MFA device ${serial}:`, secret: false }),
  }

  const open = ({ region, profile }: Where, repetition: Repetition): EC2Client => {
    const known = credentials.get(profile)
    const config: EC2ClientConfig = {
      ...repetition,
      ...(region !== undefined && { region }),
      ...(profile !== undefined && { profile }),
      ...(known === undefined ? mfa : { credentials: known }),
      requestHandler,
      logger: silence,
    }
    const client = new EC2Client(config)
    credentials.set(profile, client.config.credentials)
    // The signer reads and writes the offset here.
    Object.defineProperty(client.config, 'systemClockOffset', {
      get: () => systemClockOffset,
      set(offset: number) {
        systemClockOffset = offset
      },
    })
    return client
  }

  return ({ region, profile }, repetition = {}) => {
    const key = JSON.stringify([region, profile, repetition])
    const client = clients.get(key) ?? open({ region, profile }, repetition)
    clients.set(key, client)
    return client
  }
}
