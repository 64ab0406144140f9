import { randomUUID } from 'node:crypto'
import type { Answer, Request } from './exchange.ts'

/** A login host, and the tokens that it issued. */
export interface LoginHost {
  readonly tenant: string
  readonly clientId: string
  readonly clientSecret: string
  readonly tokens: Set<string>
  answer(request: Request): Answer
}

function discover(host: string, tenant: string): Answer {
  const base = `https://${host}/${tenant}`
  return {
    status: 200,
    body: {
      token_endpoint: `${base}/oauth2/v2.0/token`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
      issuer: `${base}/v2.0`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
    },
  }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Returns a token in the format of a JSON Web Token. */
function newToken(): string {
  return [encode({ alg: 'none' }), encode({ jti: randomUUID() }), 'SIGNATURE'].join('.')
}

const refuse = (error: string, description: string): Answer => ({
  status: 401,
  body: { error, error_description: description, error_codes: [7000215] },
})

/** Creates a Microsoft login host that accepts one client by its secret, and any user by device code. */
export function openLoginHost(): LoginHost {
  const tenant = randomUUID()
  const clientId = randomUUID()
  const clientSecret = `secret~${randomUUID()}`
  const tokens = new Set<string>()
  const grant = (): Answer => {
    const token = newToken()
    tokens.add(token)
    const body = { token_type: 'Bearer', expires_in: 3599, access_token: token }
    return { status: 200, body }
  }
  return {
    tenant,
    clientId,
    clientSecret,
    tokens,
    answer({ host, path, text }) {
      if (path.includes('/discovery/instance')) {
        const aliases = { preferred_network: host, preferred_cache: host, aliases: [host] }
        return {
          status: 200,
          body: {
            tenant_discovery_endpoint: `https://${host}/${tenant}/v2.0/.well-known/openid-configuration`,
            metadata: [aliases],
          },
        }
      }
      if (path.endsWith('/.well-known/openid-configuration')) return discover(host, tenant)
      if (path.endsWith('/devicecode')) {
        return {
          status: 200,
          body: {
            device_code: randomUUID(),
            user_code: 'ABCD1234',
            verification_uri: 'https://microsoft.com/devicelogin',
            expires_in: 900,
            interval: 1,
            message: 'To sign in, open https://microsoft.com/devicelogin and enter ABCD1234',
          },
        }
      }
      const form = new URLSearchParams(text)
      if (form.get('grant_type')?.endsWith('device_code')) return grant()
      if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret) {
        return refuse('invalid_client', 'AADSTS7000215: Invalid client secret provided.')
      }
      return grant()
    },
  }
}
