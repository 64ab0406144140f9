import type { PipelinePolicy, PipelineResponse } from '@azure/core-rest-pipeline'

/**
 * Error codes that clouds and regions return if they do not support the API version of a request (azure-cli#30847,
 * #31916, #18541).
 */
const unknownVersion = new Set([
  'NoRegisteredProviderFound',
  'InvalidApiVersionParameter',
  'InvalidResourceType',
])

const supportedVersions = /supported (?:api-)?versions are '([^']+)'/

/**
 * Returns the stable version, of those listed in the error message, that is closest to `asked`, preferably an older
 * one; `undefined` for other errors.
 */
function otherVersion(
  { status, bodyAsText }: Pick<PipelineResponse, 'status' | 'bodyAsText'>,
  asked: string,
): string | undefined {
  if (status !== 400 && status !== 404) return undefined
  const code = /"code"\s*:\s*"(\w+)"/.exec(bodyAsText ?? '')?.[1] ?? ''
  const list = supportedVersions.exec(bodyAsText ?? '')?.[1]
  if (!unknownVersion.has(code) || list === undefined) return undefined
  const stable = list
    .split(',')
    .map((version) => version.trim())
    .filter((version) => /^\d{4}-\d{2}-\d{2}$/.test(version))
    .toSorted()
  return stable.findLast((version) => version < asked) ?? stable.find((version) => version > asked)
}

/** Pattern for the paths of operation results. Azure signs their URLs, including the version. */
const signedAddress = /\/(?:operations|operationresults)\//i

/** Returns what a version applies to: a resource type of a provider, or Resource Manager itself. */
const resourceTypeOf = ({ pathname }: URL): string =>
  (/\/providers\/([^/]+\/[^/]+)/i.exec(pathname)?.[1] ?? 'Microsoft.Resources').toLowerCase()

/**
 * Handles API versions that a cloud does not support: the national clouds support new versions months later than the
 * public cloud. A request with such a version is repeated with the closest version that the cloud supports, preferably
 * an older one. Later requests also use that version.
 */
export function apiVersionPolicy(): PipelinePolicy {
  const known = new Map<string, string>()
  return {
    name: 'fleetApiVersion',
    async sendRequest(request, next) {
      const url = new URL(request.url)
      const asked = url.searchParams.get('api-version')
      const version = known.get(resourceTypeOf(url))
      const ask = (wanted: string): Promise<PipelineResponse> => {
        url.searchParams.set('api-version', wanted)
        request.url = url.href
        return next(request)
      }
      if (asked === null || signedAddress.test(url.pathname)) return next(request)
      const response = version === undefined ? await next(request) : await ask(version)
      const other = otherVersion(response, version ?? asked)
      if (other === undefined) return response
      known.set(resourceTypeOf(url), other)
      return ask(other)
    },
  }
}
