import { EC2Client, type EC2ClientConfig } from '@aws-sdk/client-ec2'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { proxyAgent } from '../../../os/proxy.ts'
import type { Ask } from '../../driver.ts'

/** The region and profile of a client. By default, they are taken from the environment or the user's profile. */
interface ClientScope {
  readonly region?: string | undefined
  readonly profile?: string | undefined
}

/** The SDK's options for retries. */
type RetryOptions = Pick<EC2ClientConfig, 'retryMode' | 'maxAttempts'>

/** Returns the SDK client for a region, profile and retry options. Clients are reused. */
export type ClientOf = (where: ClientScope, retryOptions?: RetryOptions) => EC2Client

const ignore = (): void => {}
/** A logger that discards the SDK's messages about itself and the environment, which do not concern fleet's users. */
const silentLogger = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }

/**
 * Opens EC2 clients that use the SDK's standard credential chain: environment, profiles, SSO, web identity, instance
 * metadata. All clients share the clock offset and each profile's credentials, so an MFA code is requested only once.
 */
export function openClients(ask: Ask | undefined): ClientOf {
  // The SDK warns users of older Node.js versions about its support policy, which does not concern fleet's users.
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

  /**
   * The SDK passes `mfaCodeProvider` to profiles that need a code, although its type does not
   * declare it.
   */
  const mfa = ask && {
    mfaCodeProvider: (serial: string) => ask({ text: `MFA code for ${serial}:`, secret: false }),
  }

  const open = ({ region, profile }: ClientScope, retryOptions: RetryOptions): EC2Client => {
    const known = credentials.get(profile)
    const config: EC2ClientConfig = {
      ...retryOptions,
      ...(region !== undefined && { region }),
      ...(profile !== undefined && { profile }),
      ...(known === undefined ? mfa : { credentials: known }),
      requestHandler,
      logger: silentLogger,
    }
    const client = new EC2Client(config)
    credentials.set(profile, client.config.credentials)
    // The SDK's signer reads and writes this property, so all clients share the offset.
    Object.defineProperty(client.config, 'systemClockOffset', {
      get: () => systemClockOffset,
      set(offset: number) {
        systemClockOffset = offset
      },
    })
    return client
  }

  return ({ region, profile }, retryOptions = {}) => {
    const key = JSON.stringify([region, profile, retryOptions])
    const client = clients.get(key) ?? open({ region, profile }, retryOptions)
    clients.set(key, client)
    return client
  }
}
