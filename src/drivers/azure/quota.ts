import { UserError } from '../../errors.ts'
import type { Call } from '../driver.ts'
import type { AzureApi } from './azure-api.ts'
import { allSettled } from './patience.ts'
import type { Size } from './sizes.ts'

/** What one host takes from the quotas of its location. */
interface Demand {
  readonly location: string
  readonly size: Size
  readonly spot: boolean
  readonly publicAddress: boolean
}

/** A quota, whichever namespace it is of. */
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
    `the quota ${name} in ${location} does not suffice: ${currentValue} of ${limit} in use, ${more} needed`,
    { hint: 'ask for more in the portal (Quotas), or choose another --size or --location' },
  )
}

async function collect(pages: AsyncIterable<Usage>): Promise<Usage[]> {
  const usages: Usage[] = []
  for await (const usage of pages) usages.push(usage)
  return usages
}

/** Checks that one more host fits into the quotas of the subscription. Throws kind `usage`. */
export async function checkQuota(api: AzureApi, demand: Demand, call: Call): Promise<void> {
  const { location, size, spot, publicAddress } = demand
  const options = { abortSignal: call.signal }
  const [compute, network] = await allSettled([
    collect(api.compute.usage.list(location, options) as AsyncIterable<Usage>),
    publicAddress
      ? collect(api.network.usages.list(location, options) as AsyncIterable<Usage>)
      : [],
  ])
  if (spot) check(compute, 'lowPriorityCores', size.cores, location)
  else {
    check(compute, 'cores', size.cores, location)
    check(compute, size.family, size.cores, location)
  }
  check(compute, 'virtualMachines', 1, location)
  check(network, 'PublicIPAddresses', 1, location)
}
