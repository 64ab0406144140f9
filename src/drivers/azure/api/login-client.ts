import { isIP } from 'node:net'
import { type HttpClient, RestError, createDefaultHttpClient } from '@azure/core-rest-pipeline'
import type { TokenCredential } from '@azure/identity'
import { UserError, codeOf, messageOf } from '../../../errors.ts'
import type { Environment } from '../../../os/environment.ts'

/**
 * Environment variables with the endpoint of a managed identity: App Service, Azure Arc, Cloud Shell and Kubernetes
 * pods.
 */
const endpointVariables = [
  'IDENTITY_ENDPOINT',
  'IMDS_ENDPOINT',
  'MSI_ENDPOINT',
  'AZURE_POD_IDENTITY_AUTHORITY_HOST',
] as const

/**
 * The instance metadata service answers only on the virtual machine itself, at a link-local address, and must not be
 * requested through a proxy (https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service, "Proxies").
 */
const isLinkLocal = (host: string): boolean => isIP(host) === 4 && host.startsWith('169.254.')

const hostOf = (url: string): string | undefined =>
  URL.canParse(url) ? new URL(url).host : undefined

/**
 * Timeout of a request to a managed identity's endpoint, in milliseconds. The endpoint is one hop away, and usually
 * does not exist.
 */
const endpointTimeout = 3000

const endpointUnreachable = 'the managed identity endpoint cannot be reached'

/** Whether the connection failed, as opposed to an error response. */
const isConnectionError = (error: unknown): boolean =>
  error instanceof RestError && error.response === undefined && error.name !== 'AbortError'

/** An HTTP client for a login. */
export interface LoginClient {
  readonly httpClient: HttpClient
  /**
   * Wraps a credential so that a failed connection is reported as such: the credential's own errors say only that the
   * login failed.
   */
  readonly wrapCredential: (credential: TokenCredential) => TokenCredential
}

/**
 * Opens an HTTP client for a login. The client connects to the endpoints of managed identities without a proxy, and
 * remembers connection errors from other servers.
 */
export function openLoginClient(env: Environment): LoginClient {
  const client = createDefaultHttpClient()
  const endpoints = new Set(endpointVariables.map((name) => hostOf(env[name] ?? '')))
  let unreached: { readonly host: string; readonly error: unknown } | undefined

  const httpClient: HttpClient = {
    async sendRequest(request) {
      const { host, hostname } = new URL(request.url)
      if (!isLinkLocal(hostname) && !endpoints.has(host)) {
        try {
          const response = await client.sendRequest(request)
          unreached = undefined
          return response
        } catch (error) {
          if (isConnectionError(error)) unreached = { host, error }
          throw error
        }
      }
      delete request.proxySettings
      delete request.agent
      request.timeout ||= endpointTimeout
      try {
        return await client.sendRequest(request)
      } catch (error) {
        // The error has no code, so the SDK does not retry: an endpoint that does not exist will not exist a second
        // later either.
        throw isConnectionError(error) ? new RestError(endpointUnreachable, { request }) : error
      }
    },
  }

  return {
    httpClient,
    wrapCredential: (credential) => ({
      async getToken(...request) {
        try {
          return await credential.getToken(...request)
        } catch (error) {
          if (unreached === undefined) throw error
          const { host, error: reason } = unreached
          throw new UserError(
            'unreachable',
            `the Azure login endpoint ${host} cannot be reached: ${codeOf(reason) ?? messageOf(reason)}`,
            { hint: 'check the network; if you use a proxy, set HTTPS_PROXY', cause: error },
          )
        }
      },
    }),
  }
}
