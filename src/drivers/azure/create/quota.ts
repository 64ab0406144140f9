import { UserError } from '../../../errors.ts'
import type { Call } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { type Checked, ignoreForbidden } from '../api/sdk-errors.ts'
import { allSettled } from '../api/retry.ts'
import type { Size } from './sizes.ts'

/** The resources of one host that count against the quotas in its location. */
interface Demand {
  readonly location: string
  readonly size: Size
  readonly spot: boolean
  readonly publicAddress: boolean
}

/** A quota of a resource provider, and its current usage. */
interface Usage {
  readonly currentValue: number | undefined
  readonly limit: number | undefined
  readonly name?: { readonly value?: string | undefined } | undefined
}

function check(usages: readonly Usage[], name: string, more: number, location: string): void {
  const found = usages.find((usage) => usage.name?.value?.toLowerCase() === name.toLowerCase())
  const { currentValue = 0, limit = Infinity } = found ?? {}
  if (currentValue + more <= limit) return
  throw new UserError(
    'usage',
    `the quota ${name} in ${location} is too low: ${currentValue} of ${limit} in use, ${more} more required`,
    { hint: 'request a quota increase in the portal, or choose another --size or --location' },
  )
}

async function collect(pages: AsyncIterable<Usage>): Promise<Usage[]> {
  const usages: Usage[] = []
  for await (const usage of pages) usages.push(usage)
  return usages
}

/** How long a result is cached, in milliseconds: hosts that are created together need the same results. */
const maxAge = 5000

/**
 * Checks that one more host fits within the subscription's quotas, as far as the login can read them. Throws kind
 * `usage`.
 */
export async function checkQuota(
  api: AzureApi,
  demand: Demand,
  call: Call,
): Promise<Checked<undefined>> {
  const { location, size, spot, publicAddress } = demand
  const options = { abortSignal: call.signal }
  const ask = (namespace: string, list: () => AsyncIterable<unknown>) =>
    ignoreForbidden(
      api.cached(
        `usages ${namespace} ${location}`,
        () => collect(list() as AsyncIterable<Usage>),
        maxAge,
      ),
    )
  const [compute, network] = await allSettled([
    ask('compute', () => api.compute.usage.list(location, options)),
    publicAddress ? ask('network', () => api.network.usages.list(location, options)) : [],
  ])
  const { cores } = size
  if (compute !== undefined && cores !== undefined) {
    if (spot) check(compute, 'lowPriorityCores', cores, location)
    else {
      check(compute, 'cores', cores, location)
      check(compute, size.family, cores, location)
    }
  }
  check(compute ?? [], 'virtualMachines', 1, location)
  check(network ?? [], 'PublicIPAddresses', 1, location)
  const isUnchecked = compute === undefined || network === undefined || cores === undefined
  return { value: undefined, ...(isUnchecked && { unchecked: 'the quotas' }) }
}
