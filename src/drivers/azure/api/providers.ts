import { shellQuote } from '../../../os/shell-quote.ts'
import type { Provider } from '@azure/arm-resources'
import { UserError } from '../../../errors.ts'
import { poll } from '../../../os/retry.ts'
import { nearest } from '../../../machine/nearest-name.ts'
import type { Call } from '../../driver.ts'
import type { AzureApi } from './azure-api.ts'
import { type Checked, ignoreForbidden } from './sdk-errors.ts'
import { allSettled } from './retry.ts'

/**
 * How long a result is cached, in milliseconds: the user may register the subscription in the
 * meantime.
 */
const registrationMaxAge = 60_000

const needed = ['Microsoft.Compute', 'Microsoft.Network'] as const

async function register(api: AzureApi, namespace: string, call: Call): Promise<Provider> {
  const options = { abortSignal: call.signal }
  const step = `register ${namespace} in the subscription`
  call.progress(step)
  let ask = (): Promise<Provider> => api.resources.providers.register(namespace, options)
  const check = async (): Promise<Provider | undefined> => {
    const provider = await ask()
    ask = () => api.resources.providers.get(namespace, options)
    if (provider.registrationState === 'Registered') return provider
    call.progress(step, `${provider.registrationState} (this can take a few minutes)`)
    return undefined
  }
  return poll(check, { signal: call.signal, pauseMs: api.timeouts.pollMs })
}

/**
 * Checks that a provider is registered, or registers it. Returns `undefined` if the login lacks permission to read it.
 */
async function requireProvider(
  api: AzureApi,
  namespace: string,
  mayRegister: boolean,
  call: Call,
): Promise<Provider | undefined> {
  const options = { abortSignal: call.signal }
  const ask = (): Promise<Provider> => api.resources.providers.get(namespace, options)
  const provider = await ignoreForbidden(
    api.cached(`provider ${namespace}`, ask, registrationMaxAge),
  )
  if (provider === undefined) return undefined
  if (provider.registrationState === 'Registered') return provider
  if (mayRegister) return register(api, namespace, call)
  throw new UserError('usage', `the subscription is not registered for ${namespace}`, {
    hint: `use --register-providers, or run: az provider register --namespace ${namespace} --subscription ${shellQuote(api.account.subscription)}`,
  })
}

const normalizeLocation = (location: string): string => location.replaceAll(' ', '').toLowerCase()

/**
 * Checks that the subscription is registered for the required providers, or registers it if allowed, and that the
 * location exists. Returns the location in Azure's spelling. The checks are skipped if the login lacks permission to
 * read providers: Azure then rejects invalid requests itself. Throws kind `usage`.
 */
export async function checkSubscription(
  api: AzureApi,
  wanted: string,
  mayRegister: boolean,
  call: Call,
): Promise<Checked<string>> {
  const [compute] = await allSettled(
    needed.map((namespace) => requireProvider(api, namespace, mayRegister, call)),
  )
  const location = normalizeLocation(wanted)
  if (compute === undefined) return { value: location, unchecked: 'the location' }
  const machines = compute.resourceTypes?.find(
    ({ resourceType }) => resourceType === 'virtualMachines',
  )
  const locations = (machines?.locations ?? []).map(normalizeLocation)
  if (locations.includes(location)) return { value: location }
  const near = nearest(location, locations)
  throw new UserError('usage', `no Azure location named ${wanted} offers virtual machines`, {
    hint:
      near === undefined
        ? 'to list the locations: az account list-locations --output table'
        : `did you mean ${near}?`,
  })
}
