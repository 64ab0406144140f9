import type { InstanceViewStatus, VirtualMachine } from '@azure/arm-compute'
import type { HostRecord, HostStatus } from '../../../machine/machine.ts'
import type { MachineName } from '../../../machine/name.ts'
import type { Call } from '../../driver.ts'
import { addressOf } from './addresses.ts'
import type { AzureApi, OpenApi } from '../api/azure-api.ts'
import { type HostLocation, addressResource, readLocation } from '../create/host-location.ts'
import { allSettled } from '../api/retry.ts'
import { ignoreNotFound } from '../api/sdk-errors.ts'

type State = HostStatus['state']
type Statuses = ReadonlyMap<MachineName, HostStatus>

const states: Readonly<Record<string, State>> = {
  starting: 'starting',
  running: 'running',
  stopping: 'stopping',
  stopped: 'stopped',
  deallocating: 'stopping',
  deallocated: 'stopped',
}

/** Returns the power state of a virtual machine: `running` for the status `PowerState/running`. */
export const powerOf = (statuses: readonly InstanceViewStatus[] = []): string | undefined =>
  statuses
    .map(({ code = '' }) => /^PowerState\/(.+)$/.exec(code)?.[1])
    .find((power) => power !== undefined)

/** Returns the state of a virtual machine. A machine that is still being created has no power state yet. */
const stateOf = ({ instanceView, provisioningState }: VirtualMachine): State =>
  states[powerOf(instanceView?.statuses) ?? ''] ??
  (provisioningState === 'Creating' ? 'starting' : 'unknown')

const withAddress = (state: State, address: string | undefined): HostStatus => ({
  state,
  ...(address !== undefined && { address }),
})

const keyOf = (group: string, name: string): string => `${group}/${name}`.toLowerCase()

const keyOfId = (id = ''): string => {
  const [, group = '', name = ''] = /\/resourceGroups\/([^/]+)\/.*?([^/]+)$/i.exec(id) ?? []
  return keyOf(group, name)
}

/** Observes one host by name. The response is up to date, while lists may lag behind. */
async function observeOne(api: AzureApi, place: HostLocation, call: Call): Promise<HostStatus> {
  const options = { expand: 'instanceView' as const, abortSignal: call.signal }
  const [machine, address] = await allSettled([
    ignoreNotFound(api.compute.virtualMachines.get(place.group, place.names.machine, options)),
    addressOf(api, place, call),
  ])
  return machine === undefined ? { state: 'absent' } : withAddress(stateOf(machine), address)
}

async function index<T extends { id?: string | undefined }>(
  pages: AsyncIterable<T> | undefined,
): Promise<Map<string, T>> {
  const found = new Map<string, T>()
  for await (const resource of pages ?? []) found.set(keyOfId(resource.id), resource)
  return found
}

/** Observes any number of hosts in one subscription with one list request per resource type. */
async function observeAll(
  api: AzureApi,
  places: ReadonlyMap<MachineName, HostLocation>,
  { signal: abortSignal }: Call,
): Promise<Statuses> {
  const { compute, network } = api
  const all = [...places.values()]
  const [machines, addresses, interfaces] = await allSettled([
    index(compute.virtualMachines.listAll({ statusOnly: 'true', abortSignal })),
    index(
      all.some(({ isPrivate }) => !isPrivate)
        ? network.publicIPAddresses.listAll({ abortSignal })
        : undefined,
    ),
    index(
      all.some(({ isPrivate }) => isPrivate)
        ? network.networkInterfaces.listAll({ abortSignal })
        : undefined,
    ),
  ])
  const statusOf = (place: HostLocation): HostStatus => {
    const machine = machines.get(keyOf(place.group, place.names.machine))
    if (machine === undefined) return { state: 'absent' }
    const { group, name } = addressResource(place)
    const part = keyOf(group, name)
    const address = place.isPrivate
      ? interfaces.get(part)?.ipConfigurations?.[0]?.privateIPAddress
      : addresses.get(part)?.ipAddress
    return withAddress(stateOf(machine), address)
  }
  return new Map([...places].map(([name, place]) => [name, statusOf(place)]))
}

async function observeIn(
  openApi: OpenApi,
  places: ReadonlyMap<MachineName, HostLocation>,
  call: Call,
): Promise<Statuses> {
  const [[name, place] = []] = places
  if (name === undefined || place === undefined) return new Map()
  const api = openApi(place.account, call)
  if (places.size > 1) return observeAll(api, places, call)
  return new Map([[name, await observeOne(api, place, call)]])
}

/** See `Driver.observe`. Hosts whose record has no location are `unknown`. */
export async function observeHosts(
  openApi: OpenApi,
  hosts: ReadonlyMap<MachineName, HostRecord>,
  call: Call,
): Promise<Statuses> {
  const bySubscription = new Map<string, Map<MachineName, HostLocation>>()
  for (const [name, host] of hosts) {
    const place = readLocation(host)
    if (place === undefined) continue
    const key = JSON.stringify(place.account)
    const places = bySubscription.get(key) ?? new Map<MachineName, HostLocation>()
    bySubscription.set(key, places.set(name, place))
  }
  const answers = await allSettled(
    [...bySubscription.values()].map((places) => observeIn(openApi, places, call)),
  )
  const known = new Map(answers.flatMap((answer) => [...answer]))
  return new Map([...hosts.keys()].map((name) => [name, known.get(name) ?? { state: 'unknown' }]))
}
