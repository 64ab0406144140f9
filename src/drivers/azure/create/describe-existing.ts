import type { NetworkInterfaceIPConfiguration } from '@azure/arm-network'
import type { VirtualMachine } from '@azure/arm-compute'
import { formatBoolean } from '../../differences.ts'
import type { Call, ExistingHost } from '../../driver.ts'
import { requireAddress } from '../machine/addresses.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { type HostLocation, parseResourceId, machineId, recordLocation } from './host-location.ts'
import { namesOf } from '../names.ts'
import type { AzureOptions } from '../options.ts'
import { findBastion, recordBastion } from '../network/bastion.ts'
import { type PlanContext, chooseAccount } from './plan.ts'
import { ignoreNotFound, usageError } from '../api/sdk-errors.ts'

/** The parsed ID of a virtual machine. */
interface ParsedId {
  readonly subscription?: string | undefined
  readonly group: string
  readonly name: string
}

/** Parses a full ID, `/subscriptions/…/virtualMachines/NAME` (ignoring case), or `GROUP/NAME`. */
function parseId(id: string): ParsedId {
  const full =
    /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.Compute\/virtualMachines\/([^/]+)$/i
  const [, subscription, group, name] = full.exec(id) ?? /^()([^/]+)\/([^/]+)$/.exec(id) ?? []
  if (group !== undefined && name !== undefined) {
    return { subscription: subscription || undefined, group, name }
  }
  throw usageError(
    `${id} is not an Azure virtual machine ID`,
    'use GROUP/NAME, or the full ID: az vm show --resource-group GROUP --name NAME --query id',
  )
}

/** Returns the item that is marked as primary. Azure marks an item only if there are several. */
const primaryOf = <Item extends { readonly primary?: boolean | undefined }>(
  items: readonly Item[] = [],
): Item | undefined => items.find(({ primary }) => primary) ?? items[0]

/** Finds the primary network interface of a virtual machine, and its primary IP configuration. */
async function findConfiguration(
  { network }: AzureApi,
  machine: Pick<VirtualMachine, 'networkProfile'>,
  { signal: abortSignal }: Call,
): Promise<{ readonly nic: string; readonly configuration?: NetworkInterfaceIPConfiguration }> {
  const nic = primaryOf(machine.networkProfile?.networkInterfaces)?.id ?? ''
  const { group, name } = parseResourceId(nic)
  const found = await network.networkInterfaces.get(group, name, { abortSignal })
  const configuration = primaryOf(found.ipConfigurations)
  return { nic, ...(configuration && { configuration }) }
}

/**
 * Finds the resource with the host's address. Throws kind `usage` if a host that is not private has
 * no public address.
 */
async function findAddressResource(
  api: AzureApi,
  machine: VirtualMachine,
  isPrivate: boolean,
  call: Call,
): Promise<HostLocation['addressedBy']> {
  const { nic, configuration } = await findConfiguration(api, machine, call)
  if (isPrivate) return parseResourceId(nic)
  const id = configuration?.publicIPAddress?.id
  if (id !== undefined) return parseResourceId(id)
  throw usageError(
    `the virtual machine ${machine.name} has no public address`,
    `use --private-only if you can reach ${configuration?.privateIPAddress ?? 'the private address'} from this computer, or use --reach bastion`,
  )
}

/**
 * Returns the ID of the Bastion through which fleet reaches a virtual machine; `undefined` if fleet connects directly
 * to the machine's address.
 */
export async function findBastionOf(
  api: AzureApi,
  machine: Pick<VirtualMachine, 'networkProfile'>,
  { reach, bastion }: Pick<Partial<AzureOptions>, 'reach' | 'bastion'>,
  call: Call,
): Promise<string | undefined> {
  if (reach !== 'bastion') return undefined
  const { configuration } = await findConfiguration(api, machine, call)
  return findBastion(api, bastion, configuration?.subnet?.id ?? '', call)
}

/**
 * See `Driver.describeExisting`. The record has no token, and its resource group belongs to the
 * user, so fleet never deletes any of its resources.
 */
export async function describeExistingMachine(
  { openApi, env }: Pick<PlanContext, 'openApi' | 'env'>,
  id: string,
  options: Partial<AzureOptions>,
  call: Call,
): Promise<ExistingHost> {
  const { subscription = options.subscription, group, name } = parseId(id)
  const { cloud = 'public', tenant, privateOnly: isPrivate = false } = options
  const account = await chooseAccount({ cloud, tenant, subscription }, env, call)
  const api = openApi(account, call)
  const asking = { abortSignal: call.signal }
  const machine = await ignoreNotFound(api.compute.virtualMachines.get(group, name, asking))
  if (machine === undefined) {
    throw usageError(
      `there is no virtual machine ${name} in the resource group ${group}`,
      'check the ID; if the virtual machine is in another subscription or tenant, use --subscription or --tenant',
    )
  }
  if (machine.storageProfile?.osDisk?.osType === 'Windows') {
    throw usageError(`the virtual machine ${name} runs Windows`, 'fleet can adopt only Linux hosts')
  }
  const addressedBy = await findAddressResource(api, machine, isPrivate, call)
  const bastion = await findBastionOf(api, machine, options, call)
  const names = namesOf(machine.name ?? name)
  const place = { account, group, ownGroup: false, isPrivate, names, addressedBy }
  const user = options.user ?? machine.osProfile?.adminUsername
  const size = machine.hardwareProfile?.vmSize
  const disk = machine.storageProfile?.osDisk?.diskSizeGB
  const { securityType, encryptionAtHost } = machine.securityProfile ?? {}
  return {
    id: machineId(place),
    address: await requireAddress(api, place, call),
    ...(user !== undefined && { user }),
    resources: {
      ...recordLocation(place),
      location: machine.location,
      ...recordBastion(bastion),
      ...(size !== undefined && { size }),
      ...(disk !== undefined && { disk: String(disk) }),
      ...(securityType !== undefined && { securityType }),
      ...(encryptionAtHost !== undefined && { encryptionAtHost: formatBoolean(encryptionAtHost) }),
    },
    options: { location: machine.location, ...(size !== undefined && { size }) },
  }
}
