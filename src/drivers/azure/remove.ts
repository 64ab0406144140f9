import type { GenericResourceExpanded } from '@azure/arm-resources'
import { UserError, messageOf } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import type { Call } from '../driver.ts'
import type { AzureApi, OpenApi } from './azure-api.ts'
import { type Place, readPlace } from './host-resources.ts'
import { whileBusy } from './patience.ts'
import { orGone, wordsOfRefusal } from './refusal.ts'
import { removeMachine } from './virtual-machine.ts'

/** One part of a host: what people call it, and how it is removed. */
interface Part {
  readonly label: string
  readonly remove: () => Promise<unknown>
}

const part = (
  label: string,
  name: string,
  remove: (name: string) => PromiseLike<unknown>,
): Part => ({ label: `${label} ${name}`, remove: async () => remove(name) })

/** What is left of a host without its virtual machine, what uses others first. */
function listParts({ compute, network, tempo }: AzureApi, place: Place, call: Call): Part[][] {
  const { group, names } = place
  const options = { abortSignal: call.signal, updateIntervalInMs: tempo.pollMs }
  return [
    [
      part('network interface', names.networkInterface, (name) =>
        network.networkInterfaces.beginDeleteAndWait(group, name, options),
      ),
      part('disk', names.disk, (name) => compute.disks.delete(group, name, options)),
    ],
    [
      part('public address', names.publicAddress, (name) =>
        network.publicIPAddresses.beginDeleteAndWait(group, name, options),
      ),
      part('security group', names.securityGroup, (name) =>
        network.networkSecurityGroups.beginDeleteAndWait(group, name, options),
      ),
      part('virtual network', names.network, (name) =>
        network.virtualNetworks.beginDeleteAndWait(group, name, options),
      ),
    ],
  ]
}

/** Removes the parts of one host one by one, from a group that is not its own. Names all that stays. */
async function removeParts(api: AzureApi, place: Place, call: Call): Promise<void> {
  await removeMachine(api, place, call)
  const step = 'removing its network and disk'
  call.progress(step)
  const left: string[] = []
  for (const parts of listParts(api, place, call)) {
    const results = await Promise.allSettled(
      parts.map(({ label, remove }) =>
        whileBusy(api.tempo, call, step, () => orGone(remove())).catch((error: unknown) => {
          call.signal.throwIfAborted()
          left.push(
            `${label} (${error instanceof Error ? wordsOfRefusal(error) : messageOf(error)})`,
          )
        }),
      ),
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
  if (left.length > 0) {
    throw new UserError(
      'failed',
      `could not remove ${left.join('; ')} in the group ${place.group}`,
      {
        hint: 'see to what holds it, then repeat the command',
      },
    )
  }
}

/** Whether a resource is one of the host's parts, or part of one (an extension of its virtual machine). */
function belongsTo(
  { id = '', tags }: GenericResourceExpanded,
  place: Place,
  token: string,
): boolean {
  if (tags?.['fleet:token'] === token) return true
  const names = new Set(Object.values(place.names).map((name) => name.toLowerCase()))
  return id
    .toLowerCase()
    .split('/')
    .some((part) => names.has(part))
}

/** What is in the group of a host and not the host's. */
async function listOthers(
  { resources }: AzureApi,
  place: Place,
  token: string,
  { signal }: Call,
): Promise<readonly string[]> {
  const others: string[] = []
  const options = { abortSignal: signal }
  for await (const resource of resources.resources.listByResourceGroup(place.group, options)) {
    if (!belongsTo(resource, place, token)) others.push(`${resource.type} ${resource.name}`)
  }
  return others
}

/** Removes the group of one host, if nothing else is in it. */
async function removeGroup(api: AzureApi, place: Place, token: string, call: Call): Promise<void> {
  const { resources, tempo } = api
  const { group } = place
  const options = { abortSignal: call.signal }
  const found = await orGone(resources.resourceGroups.get(group, options))
  if (found === undefined) return
  if (found.tags?.['fleet:token'] !== token) {
    throw new UserError('failed', `the resource group ${group} is not the one that fleet made`, {
      hint: 'see to it in the portal; fleet forget takes the machine out of the inventory alone',
    })
  }
  call.progress('removing the resource group', group)
  const others = await orGone(listOthers(api, place, token, call))
  if (others === undefined) return // an earlier removal of it has come to its end meanwhile
  if (others.length > 0) {
    await removeParts(api, place, call)
    throw new UserError('failed', `the resource group ${group} also holds ${others.join(', ')}`, {
      hint: 'move or delete what fleet did not make, then repeat the command',
    })
  }
  const removal = { ...options, updateIntervalInMs: tempo.pollMs }
  await orGone(resources.resourceGroups.beginDeleteAndWait(group, removal))
}

/** See `Lifecycle.remove`. */
export async function removeHost(openApi: OpenApi, host: HostRecord, call: Call): Promise<void> {
  const { token } = host
  const place = readPlace(host)
  // The place is recorded before anything is made; what has no token, somebody else made.
  if (place === undefined || token === undefined) return
  const api = openApi(place.account, call)
  if (place.ownGroup) await removeGroup(api, place, token, call)
  else await removeParts(api, place, call)
}
