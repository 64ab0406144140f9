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
  // An attempt that began anew in another location may have been cut short while its old group was being removed.
  await whileBusy(tempo, call, step, () =>
    resources.resourceGroups.createOrUpdate(place.group, group, options),
  )
}

/**
 * What Azure answers where a group or resource of that name is in another location
 * (https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-invalid-location): of an earlier attempt, for the names
 * derive from the token.
 */
const elsewhere = new Set(['InvalidResourceGroupLocation', 'InvalidResourceLocation'])

/** Makes all but the virtual machine; what an earlier attempt made in another location is removed first. Gives the id of the interface. */
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
 * Makes what is not there yet of a host. All names were recorded with the plan and derive from the token, so
 * that nothing can be made that a later attempt, or a removal, would not find.
 * @param failed The virtual machine that Azure could not make at an earlier attempt.
 */
export async function makeHost(
  api: AzureApi,
  decision: Decision,
  failed: FoundMachine | undefined,
  seed: BootstrapData,
  call: Call,
): Promise<HostFacts> {
  const { place, options } = decision
  // It keeps the user-data that it was made with; another attempt has its own.
  if (failed !== undefined) await removeMachine(api, place, call)
  const nic = await makeSurroundings(api, decision, call)
  const id = await makeMachine(api, decision, nic, seed, call)
  return { id, address: await requireAddress(api, place, call), user: options.user }
}

/** Goes on with a host whose virtual machine exists, or is still being made. */
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
