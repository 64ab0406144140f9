import type { Call, HostFacts, HostSeed } from '../driver.ts'
import { requireAddress } from './addresses.ts'
import type { AzureApi } from './azure-api.ts'
import type { Decision } from './decision.ts'
import { type Place, machineId } from './host-resources.ts'
import { makeNetwork } from './network.ts'
import { type FoundMachine, awaitMachine, makeMachine, removeMachine } from './virtual-machine.ts'

async function makeGroup(
  { resources }: AzureApi,
  { place, location, tags }: Decision,
  call: Call,
): Promise<void> {
  if (!place.ownGroup) return
  call.progress('making the resource group', place.group)
  const options = { abortSignal: call.signal }
  await resources.resourceGroups.createOrUpdate(
    place.group,
    { location, tags: { ...tags } },
    options,
  )
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
  seed: HostSeed,
  call: Call,
): Promise<HostFacts> {
  const { place, options } = decision
  // It keeps the user-data that it was made with; another attempt has its own.
  if (failed !== undefined) await removeMachine(api, place, call)
  await makeGroup(api, decision, call)
  const nic = await makeNetwork(api, decision, call)
  const id = await makeMachine(api, decision, nic, seed, call)
  return { id, address: await requireAddress(api, place, call), user: options.user }
}

/** Goes on with a host whose virtual machine exists, or is still being made. */
export async function resumeHost(
  api: AzureApi,
  place: Place,
  { user }: FoundMachine,
  seed: HostSeed,
  call: Call,
): Promise<HostFacts> {
  const id = machineId(place)
  await seed.record({ id })
  await awaitMachine(api, place, call)
  return { id, address: await requireAddress(api, place, call), user }
}
