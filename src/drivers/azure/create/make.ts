import type { Call, HostFacts, BootstrapData } from '../../driver.ts'
import { requireAddress } from '../machine/addresses.ts'
import type { AzureApi } from '../api/azure-api.ts'
import type { Decision } from './decision.ts'
import { type Place, machineId } from './host-resources.ts'
import { makeNetwork } from '../network/network.ts'
import { whileBusy } from '../api/timeouts.ts'
import { codeOfRefusal } from '../api/refusal.ts'
import { removePlace } from '../machine/remove.ts'
import { type FoundMachine, awaitMachine, makeMachine, removeMachine } from './virtual-machine.ts'

async function makeGroup(
  { resources, tempo }: AzureApi,
  { place, location, tags }: Decision,
  call: Call,
): Promise<void> {
  if (!place.ownGroup) return
  const step = 'create resource group'
  call.progress(step, place.group)
  const options = { abortSignal: call.signal }
  const group = { location, tags: { ...tags } }
  // The group of an earlier attempt in another location may still be being deleted.
  await whileBusy(tempo, call, step, () =>
    resources.resourceGroups.createOrUpdate(place.group, group, options),
  )
}

/**
 * Errors if a group or resource with this name is in another location
 * (https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-invalid-location).
 * It belongs to an earlier attempt, because names are derived from the token.
 */
const elsewhere = new Set(['InvalidResourceGroupLocation', 'InvalidResourceLocation'])

/**
 * Creates everything but the virtual machine. Deletes what an earlier attempt created in another
 * location first. Returns the id of the network interface.
 */
async function makeSurroundings(api: AzureApi, decision: Decision, call: Call): Promise<string> {
  const make = async (): Promise<string> => {
    await makeGroup(api, decision, call)
    return makeNetwork(api, decision, call)
  }
  try {
    return await make()
  } catch (error) {
    if (!elsewhere.has(codeOfRefusal(error) ?? '')) throw error
    call.progress('delete resources in the previous location')
    await removePlace(api, decision.place, decision.token, call)
    return make()
  }
}

/**
 * Creates what does not exist yet of a host. All names were recorded with the plan and are derived
 * from the token, so a later attempt or removal finds everything.
 * @param failed a virtual machine whose creation failed at an earlier attempt
 */
export async function makeHost(
  api: AzureApi,
  decision: Decision,
  failed: FoundMachine | undefined,
  seed: BootstrapData,
  call: Call,
): Promise<HostFacts> {
  const { place, options } = decision
  // It has the user-data of the earlier attempt, so it is created again.
  if (failed !== undefined) await removeMachine(api, place, call)
  const nic = await makeSurroundings(api, decision, call)
  const id = await makeMachine(api, decision, nic, seed, call)
  return { id, address: await requireAddress(api, place, call), user: options.user }
}

/** Finishes a host whose virtual machine exists or is being created. */
export async function resumeHost(
  api: AzureApi,
  place: Place,
  { user }: FoundMachine,
  seed: BootstrapData,
  call: Call,
): Promise<HostFacts> {
  const id = machineId(place)
  await seed.record({ id })
  await awaitMachine(api, place, call)
  return { id, address: await requireAddress(api, place, call), user }
}
