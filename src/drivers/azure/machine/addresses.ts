import { UserError } from '../../../errors.ts'
import type { Call } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { type HostLocation, addressResource } from '../create/host-location.ts'
import { ignoreNotFound } from '../api/sdk-errors.ts'

/**
 * Returns the address that fleet connects to: the public address, or the private address if the host has no public
 * address.
 */
export async function addressOf(
  { network }: AzureApi,
  place: HostLocation,
  { signal: abortSignal }: Call,
): Promise<string | undefined> {
  const { group, name } = addressResource(place)
  if (place.isPrivate) {
    const found = network.networkInterfaces.get(group, name, { abortSignal })
    return (await ignoreNotFound(found))?.ipConfigurations?.[0]?.privateIPAddress
  }
  const found = network.publicIPAddresses.get(group, name, { abortSignal })
  return (await ignoreNotFound(found))?.ipAddress
}

/** Like {@link addressOf}, but throws kind `failed` if there is none. */
export async function requireAddress(
  api: AzureApi,
  place: HostLocation,
  call: Call,
): Promise<string> {
  const address = await addressOf(api, place, call)
  if (address !== undefined) return address
  const { group, name } = addressResource(place)
  throw new UserError('failed', `the virtual machine ${place.names.machine} has no address`, {
    hint: `check the ${place.isPrivate ? 'network interface' : 'public address'} ${name} in the resource group ${group}`,
  })
}
