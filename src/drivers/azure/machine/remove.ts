import type { GenericResourceExpanded } from '@azure/arm-resources'
import { UserError, messageOf } from '../../../errors.ts'
import type { HostRecord } from '../../../machine/machine.ts'
import type { Call } from '../../driver.ts'
import { checkOwnedBy, foreignHint, isOwnedBy } from '../../ownership.ts'
import type { AzureApi, OpenApi } from '../api/azure-api.ts'
import {
  type HostLocation,
  readLocation,
  readNetwork,
  readPeerGroup,
} from '../create/host-location.ts'
import { removeUnusedPeerGroup } from '../network/peer-group.ts'
import { removeUnusedNetwork } from '../network/shared-network.ts'
import { retryWhileBusy } from '../api/retry.ts'
import { ignoreNotFound, azureErrorMessage } from '../api/sdk-errors.ts'
import { type FoundMachine, findVirtualMachine, removeMachine } from '../create/virtual-machine.ts'

/** A resource's tags. */
interface Tagged {
  readonly tags?: Readonly<Record<string, string>>
}

/** One of a host's resources, and how to find and delete it. */
interface HostResource {
  readonly label: string
  readonly isOwn: (found: Tagged) => boolean
  readonly find: () => Promise<Tagged | undefined>
  readonly remove: () => Promise<unknown>
}

/** How to get and delete one type of resource. */
interface ResourceType {
  readonly get: (
    group: string,
    name: string,
    options: { readonly abortSignal: AbortSignal },
  ) => Promise<Tagged>
  readonly remove: (group: string, name: string, options: object) => PromiseLike<unknown>
}

/**
 * Returns a host's resources, except its virtual machine, in the order of deletion; resources in the same inner array
 * are deleted concurrently. `machine` is the virtual machine, if it belongs to the host.
 */
function listHostResources(
  { compute, network, timeouts }: AzureApi,
  { group, names }: HostLocation,
  { token, machine }: { readonly token: string; readonly machine: FoundMachine | undefined },
  call: Call,
): HostResource[][] {
  const abortSignal = call.signal
  const options = { abortSignal, updateIntervalInMs: timeouts.pollMs }
  const part = (label: string, name: string, { get, remove }: ResourceType): HostResource => ({
    label: `${label} ${name}`,
    isOwn: ({ tags }) => isOwnedBy(token, tags) || (label === 'disk' && machine?.disk === name),
    find: () => ignoreNotFound(get(group, name, { abortSignal })),
    remove: async () => remove(group, name, options),
  })
  return [
    [
      part('network interface', names.networkInterface, {
        get: (...words) => network.networkInterfaces.get(...words),
        remove: (...words) => network.networkInterfaces.beginDeleteAndWait(...words),
      }),
      part('disk', names.disk, {
        get: (...words) => compute.disks.get(...words),
        remove: (...words) => compute.disks.delete(...words),
      }),
    ],
    [
      part('public address', names.publicAddress, {
        get: (...words) => network.publicIPAddresses.get(...words),
        remove: (...words) => network.publicIPAddresses.beginDeleteAndWait(...words),
      }),
      part('security group', names.securityGroup, {
        get: (...words) => network.networkSecurityGroups.get(...words),
        remove: (...words) => network.networkSecurityGroups.beginDeleteAndWait(...words),
      }),
      part('virtual network', names.network, {
        get: (...words) => network.virtualNetworks.get(...words),
        remove: (...words) => network.virtualNetworks.beginDeleteAndWait(...words),
      }),
    ],
  ]
}

/**
 * Deletes, from a group that fleet did not create, only those of a host's resources that have the host's tags. The
 * error names what could not be deleted.
 */
async function removeResources(
  api: AzureApi,
  place: HostLocation,
  token: string,
  call: Call,
): Promise<void> {
  const machine = await findVirtualMachine(api, place, call)
  if (machine !== undefined) {
    checkOwnedBy(token, machine.tags, `the virtual machine ${place.names.machine}`)
    await removeMachine(api, place, call)
  }
  const step = 'delete the network and the disk'
  call.progress(step)
  const [left, foreign]: [string[], string[]] = [[], []]
  const removePart = async ({ label, find, isOwn, remove }: HostResource): Promise<void> => {
    const now = await find()
    if (now === undefined) return
    if (isOwn(now)) await ignoreNotFound(remove())
    else foreign.push(label)
  }
  for (const parts of listHostResources(api, place, { token, machine }, call)) {
    const results = await Promise.allSettled(
      parts.map((part) =>
        retryWhileBusy(api.timeouts, call, step, () => removePart(part)).catch((error: unknown) => {
          call.signal.throwIfAborted()
          left.push(
            `${part.label} (${error instanceof Error ? azureErrorMessage(error) : messageOf(error)})`,
          )
        }),
      ),
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
  if (left.length > 0) {
    throw new UserError(
      'failed',
      `could not delete some resources in the resource group ${place.group}: ${left.join('; ')}`,
      {
        hint: 'remove the resources that depend on them, then run the command again',
      },
    )
  }
  if (foreign.length > 0) {
    throw new UserError(
      'failed',
      `these resources in the resource group ${place.group} were not deleted because they lack this machine's tags: ${foreign.join(', ')}`,
      { hint: foreignHint },
    )
  }
}

/**
 * Whether a resource belongs to the host, or is part of a resource that does (such as an extension of its virtual
 * machine).
 */
function belongsTo(
  { id = '', tags }: GenericResourceExpanded,
  place: HostLocation,
  token: string,
): boolean {
  if (tags?.['fleet:token'] === token) return true
  const names = new Set(Object.values(place.names).map((name) => name.toLowerCase()))
  return id
    .toLowerCase()
    .split('/')
    .some((part) => names.has(part))
}

/** Lists the resources in a host's group that do not belong to the host. */
async function listOthers(
  { resources }: AzureApi,
  place: HostLocation,
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

/** Deletes a host's group if it contains nothing else. */
async function removeGroup(
  api: AzureApi,
  place: HostLocation,
  token: string,
  call: Call,
): Promise<void> {
  const { resources, timeouts } = api
  const { group } = place
  const options = { abortSignal: call.signal }
  const found = await ignoreNotFound(resources.resourceGroups.get(group, options))
  if (found === undefined) return
  if (found.tags?.['fleet:token'] !== token) {
    throw new UserError(
      'failed',
      `fleet did not create the resource group ${group} for this machine`,
      {
        hint: 'check the resource group in the portal; to remove only the inventory entry: fleet forget NAME',
      },
    )
  }
  call.progress('delete the resource group', group)
  const others = await ignoreNotFound(listOthers(api, place, token, call))
  if (others === undefined) return // an earlier deletion of the group has finished in the meantime
  if (others.length > 0) {
    await removeResources(api, place, token, call)
    throw new UserError(
      'failed',
      `the resource group ${group} contains other resources: ${others.join(', ')}`,
      {
        hint: 'move or delete the resources that fleet did not create, then run the command again',
      },
    )
  }
  const removal = { ...options, updateIntervalInMs: timeouts.pollMs }
  await ignoreNotFound(resources.resourceGroups.beginDeleteAndWait(group, removal))
}

/** Deletes everything that was created for a token at a host location, and nothing else. */
export const removeAll = (
  api: AzureApi,
  place: HostLocation,
  token: string,
  call: Call,
): Promise<void> =>
  place.ownGroup ? removeGroup(api, place, token, call) : removeResources(api, place, token, call)

/** See `Lifecycle.remove`. */
export async function removeHost(openApi: OpenApi, host: HostRecord, call: Call): Promise<void> {
  const { token } = host
  // The location is recorded before anything is created. Hosts without a token were not created by
  // fleet.
  if (token === undefined) return
  const place = readLocation(host)
  if (place !== undefined) await removeAll(openApi(place.account, call), place, token, call)
  const peers = readPeerGroup(host)
  if (peers !== undefined) {
    await removeUnusedPeerGroup(openApi(peers.account, call), peers.group, call)
  }
  const shared = readNetwork(host)
  if (shared === undefined) return
  await removeUnusedNetwork(openApi(shared.account, call), shared.network, call)
}
