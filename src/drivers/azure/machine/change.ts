import type { VirtualMachine } from '@azure/arm-compute'
import { UserError } from '../../../errors.ts'
import type { HostRecord } from '../../../machine/machine.ts'
import type { Call, DriverState } from '../../driver.ts'
import { parseCidrs } from '../../net/cidrs.ts'
import { formatBoolean } from '../../differences.ts'
import { checkOwnedBy } from '../../ownership.ts'
import { parsePorts } from '../../net/ports.ts'
import type { UpdateRequest } from '../../update.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { type HostLocation, machineId, requireLocation } from '../create/host-location.ts'
import { findBastionOf } from '../create/describe-existing.ts'
import { recordBastion } from '../network/bastion.ts'
import { rulesFor } from '../network/create-network.ts'
import type { AzureOptions } from '../options.ts'
import { retryWhileBusy } from '../api/retry.ts'
import { ignoreNotFound, usageError } from '../api/sdk-errors.ts'
import { changedTags } from '../tags.ts'
import { systemDiskOf } from '../create/virtual-machine.ts'

/** A host to change, and its options. */
interface ChangeContext {
  readonly api: AzureApi
  readonly place: HostLocation
  readonly machine: VirtualMachine
  /**
   * Whether the host is adopted: fleet did not create it, so its resources are those that the
   * virtual machine refers to.
   */
  readonly isAdopted: boolean
  readonly resources: DriverState
  readonly options: AzureOptions
  readonly call: Call
}

type ChangedResources = Readonly<Record<string, string | undefined>>

const pollOptions = ({ api, call }: ChangeContext) => ({
  abortSignal: call.signal,
  updateIntervalInMs: api.timeouts.pollMs,
})

/** Changes the size. The host is deallocated, so it can be given any size with the same architecture. */
async function changeSize(context: ChangeContext): Promise<ChangedResources> {
  const { api, place, options, call } = context
  call.progress('change the size', options.size)
  const change = { hardwareProfile: { vmSize: options.size } }
  const { virtualMachines } = api.compute
  await virtualMachines.update(place.group, place.names.machine, change, pollOptions(context))
  return { size: options.size }
}

/**
 * Changes encryption at host. The host is deallocated, as the change requires
 * (https://learn.microsoft.com/azure/virtual-machines/linux/disks-enable-host-based-encryption-cli).
 */
async function changeEncryption(context: ChangeContext): Promise<ChangedResources> {
  const { api, place, options, call } = context
  const { encryptionAtHost = false } = options
  call.progress(`${encryptionAtHost ? 'enable' : 'disable'} encryption at host`)
  const change = { securityProfile: { encryptionAtHost } }
  const { virtualMachines } = api.compute
  await virtualMachines.update(place.group, place.names.machine, change, pollOptions(context))
  return { encryptionAtHost: formatBoolean(encryptionAtHost) }
}

const noDisk = ({ name }: VirtualMachine): never => {
  throw usageError(
    `cannot grow the OS disk of the virtual machine ${name}`,
    'the disk is ephemeral or not managed by Azure; remove "disk" from the machine\'s entry',
  )
}

async function growDisk(context: ChangeContext): Promise<ChangedResources> {
  const { api, place, machine, isAdopted, options, call } = context
  const { disk = 0 } = options
  const { disks } = api.compute
  const own = { group: place.group, name: place.names.disk }
  const { group, name } = (isAdopted ? systemDiskOf(machine) : own) ?? noDisk(machine)
  const { diskSizeGB: size = 0 } = await disks.get(group, name, { abortSignal: call.signal })
  if (size > disk) return { disk: String(size) }
  if (size < disk) {
    call.progress('grow the disk', `${disk} GiB`)
    const change = { diskSizeGB: disk }
    await disks.update(group, name, change, pollOptions(context))
  }
  return { disk: String(disk) }
}

/**
 * Returns the IDs of all resources with the host's tags. For an adopted host, returns only resources that no other host
 * uses.
 */
function taggedIds({ place, machine, isAdopted }: ChangeContext): readonly string[] {
  if (isAdopted) {
    const { storageProfile, networkProfile } = machine
    const ids = [
      storageProfile?.osDisk?.managedDisk?.id,
      ...(networkProfile?.networkInterfaces ?? []).map(({ id }) => id),
    ]
    return [machineId(place), ...ids.filter((id) => id !== undefined)]
  }
  const { account, group, ownGroup, isPrivate, names } = place
  const within = `/subscriptions/${account.subscription}/resourceGroups/${group}`
  const network = `${within}/providers/Microsoft.Network`
  return [
    ...(ownGroup ? [within] : []),
    machineId(place),
    `${within}/providers/Microsoft.Compute/disks/${names.disk}`,
    `${network}/networkInterfaces/${names.networkInterface}`,
    `${network}/networkSecurityGroups/${names.securityGroup}`,
    ...(isPrivate ? [] : [`${network}/publicIPAddresses/${names.publicAddress}`]),
  ]
}

/** Merges and deletes individual tags, so tags not set by fleet are kept. */
async function changeTags(context: ChangeContext): Promise<ChangedResources> {
  const { api, resources, options, call } = context
  const { set, removed } = changedTags(resources['tags'] ?? '', options.tags ?? '')
  call.progress('update the tags')
  const { tagsOperations } = api.resources
  const patch = async (operation: 'Delete' | 'Merge', tags: DriverState): Promise<void> => {
    if (Object.keys(tags).length === 0) return
    const change = { operation, properties: { tags: { ...tags } } }
    await Promise.all(
      taggedIds(context).map((id) =>
        ignoreNotFound(
          tagsOperations.beginUpdateAtScopeAndWait(id.slice(1), change, pollOptions(context)),
        ),
      ),
    )
  }
  await patch('Delete', removed)
  await patch('Merge', set)
  return { tags: options.tags }
}

/** Replaces fleet's own rules. Rules with other names are kept. */
async function changeSecurityRules(
  context: ChangeContext,
  only: ReadonlySet<string>,
): Promise<ChangedResources> {
  const { api, place, resources, options, call } = context
  const step = 'update the security rules'
  call.progress(step)
  const ports = only.has('ports') ? options.ports : resources['ports']
  const sshCidr = only.has('sshCidr')
    ? parseCidrs(options.sshCidr ?? '')?.join(',')
    : resources['sshCidr']
  const { networkSecurityGroups } = api.network
  const { group, names } = place
  await retryWhileBusy(api.timeouts, call, step, async () => {
    const now = await networkSecurityGroups.get(group, names.securityGroup, {
      abortSignal: call.signal,
    })
    const foreign = (now.securityRules ?? []).filter(
      ({ name = '' }) => !/^(?:ssh(?:-ipv6)?|open-.*)$/.test(name),
    )
    const own = rulesFor({
      sshCidrs: sshCidr === undefined ? [] : (parseCidrs(sshCidr) ?? []),
      ports: ports === undefined ? [] : (parsePorts(ports) ?? []),
    })
    const { location, tags } = now
    return networkSecurityGroups.beginCreateOrUpdateAndWait(
      group,
      names.securityGroup,
      {
        ...(location !== undefined && { location }),
        ...(tags && { tags }),
        securityRules: [...foreign, ...own],
      },
      pollOptions(context),
    )
  })
  return { ports, sshCidr }
}

/** Changes how SSH reaches the host. Nothing changes in Azure, because a Bastion reaches all hosts in its network. */
async function changeReach({
  api,
  machine,
  options,
  call,
}: ChangeContext): Promise<ChangedResources> {
  const bastion = await findBastionOf(api, machine, options, call)
  return { reach: undefined, bastion: undefined, ...recordBastion(bastion) }
}

/** See `Update.change`. */
export async function changeHost(
  api: AzureApi,
  host: HostRecord,
  { options, only }: UpdateRequest<AzureOptions>,
  call: Call,
): Promise<ChangedResources> {
  const place = requireLocation(host)
  const found = await ignoreNotFound(
    api.compute.virtualMachines.get(place.group, place.names.machine, { abortSignal: call.signal }),
  )
  if (found === undefined) {
    throw new UserError('failed', `there is no virtual machine ${place.names.machine}`, {
      hint: 'to see the changes that fleet would make: fleet plan',
    })
  }
  checkOwnedBy(host.token, found.tags, `the virtual machine ${place.names.machine}`)
  const isAdopted = host.token === undefined
  const { resources = {} } = host
  const context: ChangeContext = {
    ...{ api, place, machine: found, isAdopted },
    resources,
    options,
    call,
  }
  return {
    ...(only.has('disk') && (await growDisk(context))),
    ...(only.has('size') && (await changeSize(context))),
    ...(only.has('encryptionAtHost') && (await changeEncryption(context))),
    ...(only.has('tags') && (await changeTags(context))),
    ...((only.has('reach') || only.has('bastion')) && (await changeReach(context))),
    ...((only.has('ports') || only.has('sshCidr')) && (await changeSecurityRules(context, only))),
  }
}
