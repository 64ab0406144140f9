import { createHash } from 'node:crypto'
import type { VirtualNetwork } from '@azure/arm-network'
import { UserError } from '../../../errors.ts'
import type { Call } from '../../driver.ts'
import type { Tags } from '../../tag-list.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { retryWhileBusy } from '../api/retry.ts'
import { azureErrorCode, ignoreNotFound } from '../api/sdk-errors.ts'
import type { ResourceRef } from '../create/host-location.ts'

/** Key of the tag that marks resources shared by an inventory's hosts in a location. */
export const sharedTag = 'fleet:shared'

const subnetName = 'hosts'

/** How long a result is cached, in milliseconds: hosts that are created together need the same results. */
const maxAge = 5000

/**
 * Returns the network that an inventory's hosts share in a location: in a resource group that fleet creates for it, or
 * in the user's own group, which also contains the hosts.
 */
export const sharedNetworkOf = (
  fleet: string,
  location: string,
  userGroup: string | undefined,
): ResourceRef => {
  const name = `fleet-${fleet}-${location}`
  return { group: userGroup ?? name, name }
}

/** Whether fleet created the group of a shared network, which then has the same name. */
const hasOwnGroup = ({ group, name }: ResourceRef): boolean => group === name

/** Returns the SHA-256 digest of a text. */
const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Returns the address range of a network. It is derived from the network's name, so users who create the network at the
 * same time choose the same range, and networks in different locations are likely to have different ranges.
 */
export const rangeOf = ({ group, name }: ResourceRef): string =>
  `10.${128 + ((digestOf(`${group}/${name}`.toLowerCase())[0] ?? 0) % 128)}.0.0/16`

/** Returns a token for a shared network, in the same format as hosts' tokens. */
function sharedToken({ group, name }: ResourceRef): string {
  const hex = digestOf(`token of ${group}/${name}`.toLowerCase()).toString('hex')
  return [
    hex.slice(0, 8),
    ...[8, 12, 16].map((at) => hex.slice(at, at + 4)),
    hex.slice(16, 28),
  ].join('-')
}

/** Returns the tags of a shared network, derived from the tags of the host for which it is created. */
const tagsFor = (network: ResourceRef, { 'fleet:machine': _, ...tags }: Tags): Tags => ({
  ...tags,
  'fleet:token': sharedToken(network),
  [sharedTag]: 'network',
})

const describe = ({ group, name }: ResourceRef): string =>
  `the virtual network ${name} in the resource group ${group}`

/** Throws kind `failed` unless a network has the inventory's tags. */
function checkOwn(network: ResourceRef, { tags }: VirtualNetwork, fleet: string | undefined): void {
  if (tags?.[sharedTag] !== undefined && tags['fleet:id'] === fleet) return
  throw new UserError('failed', `${describe(network)} lacks this inventory's tags`, {
    hint: 'delete the virtual network, or choose your own subnet with --subnet',
  })
}

const find = (api: AzureApi, { group, name }: ResourceRef, { signal: abortSignal }: Call) =>
  ignoreNotFound(api.network.virtualNetworks.get(group, name, { abortSignal }))

/** A shared network to create. */
interface SharedNetworkSpec {
  readonly network: ResourceRef
  readonly location: string
  /** The tags of the host for which the network is created. */
  readonly tags: Tags
}

const step = 'create the network'

/** Creates a network and its group, unless they already exist. Returns the ID of the subnet for hosts. */
async function ensure(
  api: AzureApi,
  { network, location, tags: hostTags }: SharedNetworkSpec,
  call: Call,
): Promise<string> {
  const { timeouts } = api
  const options = { abortSignal: call.signal, updateIntervalInMs: timeouts.pollMs }
  const tags = { ...tagsFor(network, hostTags) }
  const fleet = tags['fleet:id']
  const subnetOf = (found: VirtualNetwork): string => {
    checkOwn(network, found, fleet)
    const subnet = found.subnets?.find(({ name }) => name === subnetName)?.id
    if (subnet !== undefined) return subnet
    throw new UserError('failed', `${describe(network)} lacks the subnet ${subnetName}`, {
      hint: 'add the subnet, or choose your own with --subnet',
    })
  }
  const range = rangeOf(network)
  const body = {
    ...{ location, tags },
    addressSpace: { addressPrefixes: [range] },
    subnets: [{ name: subnetName, addressPrefix: range }],
  }
  return retryWhileBusy(timeouts, call, step, async () => {
    // An existing network is never modified: it may have the user's own subnets and peerings.
    const found = await find(api, network, call)
    if (found?.provisioningState === 'Succeeded') return subnetOf(found)
    if (found?.provisioningState === 'Updating') {
      const error = new Error(`${describe(network)} is being changed`)
      throw Object.assign(error, { code: 'AnotherOperationInProgress' })
    }
    if (hasOwnGroup(network)) {
      const group = { location, tags }
      await api.resources.resourceGroups.createOrUpdate(network.group, group, options)
    }
    const made = await api.network.virtualNetworks.beginCreateOrUpdateAndWait(
      network.group,
      network.name,
      body,
      options,
    )
    return subnetOf(made)
  })
}

/**
 * Returns the ID of a shared network's subnet, and creates both if necessary. Hosts that are created at the same time
 * share one request, unless `isAgain` is set.
 */
export async function ensureSharedNetwork(
  api: AzureApi,
  spec: SharedNetworkSpec,
  call: Call,
  { isAgain = false } = {},
): Promise<string> {
  const ask = () => ensure(api, spec, call)
  if (isAgain) return ask()
  const { group, name } = spec.network
  try {
    return await api.cached(`shared network ${group}/${name}`, ask, maxAge)
  } catch {
    call.signal.throwIfAborted()
    return ask() // the creation of the host that sent the shared request may have been canceled
  }
}

/**
 * Error codes that Azure returns if another command has removed a host's network in the meantime, together with the
 * last other host.
 */
const goneCodes = new Set([
  'InvalidResourceReference',
  'ResourceNotFound',
  'ResourceGroupNotFound',
  'ReferencedResourceNotProvisioned',
  'ParentResourceNotFound',
])

/** Whether an error means that a host's network does not exist. */
export const isNetworkGone = (error: unknown): boolean => goneCodes.has(azureErrorCode(error) ?? '')

/** Whether a network has hosts. */
const isUsed = ({ subnets = [] }: VirtualNetwork): boolean =>
  subnets.some(({ ipConfigurations = [] }) => ipConfigurations.length > 0)

/** Whether a shared network has no hosts. A network that does not exist has no hosts. */
export async function isUnusedNetwork(
  api: AzureApi,
  network: ResourceRef,
  call: Call,
): Promise<boolean> {
  const found = await find(api, network, call)
  return found === undefined || !isUsed(found)
}

/** Deletes the resource group of a shared network if it is empty. */
export async function removeEmptyGroup(
  api: AzureApi,
  network: ResourceRef,
  call: Call,
): Promise<void> {
  if (!hasOwnGroup(network)) return
  const { resources, timeouts } = api
  const { group } = network
  const options = { abortSignal: call.signal, updateIntervalInMs: timeouts.pollMs }
  const found = await ignoreNotFound(resources.resourceGroups.get(group, options))
  if (found?.tags?.[sharedTag] === undefined) return
  const first = await ignoreNotFound(
    resources.resources.listByResourceGroup(group, { abortSignal: call.signal }).next(),
  )
  if (first !== undefined && first.done !== true) return
  await ignoreNotFound(resources.resourceGroups.beginDeleteAndWait(group, options))
}

/** Deletes a shared network, and then its resource group, if no host uses the network. */
export async function removeUnusedNetwork(
  api: AzureApi,
  network: ResourceRef,
  call: Call,
): Promise<void> {
  const { timeouts } = api
  const { group, name } = network
  const options = { abortSignal: call.signal, updateIntervalInMs: timeouts.pollMs }
  const found = await find(api, network, call)
  // Anyone who can edit the inventory can name any network, so only delete networks with fleet's tag.
  if (found !== undefined && (found.tags?.[sharedTag] === undefined || isUsed(found))) return
  const removal = 'delete the network'
  if (found !== undefined) {
    call.progress(removal)
    const isRemoved = await retryWhileBusy(timeouts, call, removal, async () => {
      try {
        await ignoreNotFound(
          Promise.resolve(api.network.virtualNetworks.beginDeleteAndWait(group, name, options)),
        )
        return true
      } catch (error) {
        // Another host is being created in the network.
        if (azureErrorCode(error) === 'InUseSubnetCannotBeDeleted') return false
        throw error
      }
    })
    if (!isRemoved) return
  }
  await retryWhileBusy(timeouts, call, removal, () => removeEmptyGroup(api, network, call))
}
