import type { Call, HostFacts, BootstrapData } from '../../driver.ts'
import { requireAddress } from '../machine/addresses.ts'
import type { AzureApi } from '../api/azure-api.ts'
import type { Decision } from './decision.ts'
import { type HostLocation, machineId } from './host-location.ts'
import { createNetwork } from '../network/create-network.ts'
import { removeUnusedNetwork } from '../network/shared-network.ts'
import { retryWhileBusy } from '../api/retry.ts'
import { azureErrorCode } from '../api/sdk-errors.ts'
import { removeAll } from '../machine/remove.ts'
import {
  type FoundMachine,
  waitForMachine,
  createMachine,
  removeMachine,
} from './virtual-machine.ts'

async function createGroup(
  { resources, timeouts }: AzureApi,
  { host, location, tags }: Decision,
  call: Call,
): Promise<void> {
  if (!host.ownGroup) return
  const step = 'create the resource group'
  call.progress(step, host.group)
  const options = { abortSignal: call.signal }
  const group = { location, tags: { ...tags } }
  // The group of an earlier attempt in another location might not have been completely deleted yet.
  await retryWhileBusy(timeouts, call, step, () =>
    resources.resourceGroups.createOrUpdate(host.group, group, options),
  )
}

/**
 * Error codes that Azure returns if a group or resource with the same name is in another location
 * (https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-invalid-location). That group or
 * resource belongs to an earlier attempt, because names are derived from the token.
 */
const otherLocationCodes = new Set(['InvalidResourceGroupLocation', 'InvalidResourceLocation'])

/**
 * Creates the resource group and the network. If an earlier attempt created resources in another
 * location, deletes those first. Returns the ID of the network interface.
 */
async function createGroupAndNetwork(
  api: AzureApi,
  decision: Decision,
  call: Call,
): Promise<string> {
  const make = async (): Promise<string> => {
    await createGroup(api, decision, call)
    return createNetwork(api, decision, call)
  }
  try {
    return await make()
  } catch (error) {
    if (!otherLocationCodes.has(azureErrorCode(error) ?? '')) throw error
    call.progress('delete the resources in the previous location')
    await removeAll(api, decision.host, decision.token, call)
    return make()
  }
}

/**
 * Creates a host's missing resources. All names have been recorded with the plan and are derived from the token, so a
 * later attempt or removal finds all resources.
 * @param failed a virtual machine whose creation failed in an earlier attempt
 */
export async function createHost(
  api: AzureApi,
  decision: Decision,
  failed: FoundMachine | undefined,
  data: BootstrapData,
  call: Call,
): Promise<HostFacts> {
  const { host, options } = decision
  // A failed virtual machine has the user-data of the earlier attempt, so it is created again.
  if (failed !== undefined) await removeMachine(api, host, call)
  const nic = await createGroupAndNetwork(api, decision, call)
  const { previousNetwork } = decision
  if (previousNetwork !== undefined) await removeUnusedNetwork(api, previousNetwork, call)
  const id = await createMachine(api, decision, nic, data, call)
  return { id, address: await requireAddress(api, host, call), user: options.user }
}

/** Finishes the creation of a host whose virtual machine exists or is being created. */
export async function resumeHost(
  api: AzureApi,
  place: HostLocation,
  { user }: FoundMachine,
  data: BootstrapData,
  call: Call,
): Promise<HostFacts> {
  const id = machineId(place)
  await data.record({ id })
  await waitForMachine(api, place, call)
  return { id, address: await requireAddress(api, place, call), user }
}
