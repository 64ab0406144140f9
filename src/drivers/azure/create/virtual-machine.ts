import type { SecurityProfile, VirtualMachine, VirtualMachineIdentity } from '@azure/arm-compute'
import { UserError } from '../../../errors.ts'
import type { Call, BootstrapData } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { type ResourceRef, type HostLocation, parseResourceId, machineId } from './host-location.ts'
import type { Decision } from './decision.ts'
import { ignoreNotFound } from '../api/sdk-errors.ts'
import { poll } from '../../../os/retry.ts'

/** A host's virtual machine, created by an earlier attempt. */
export interface FoundMachine {
  readonly user: string
  readonly tags: Readonly<Record<string, string>>
  /** Name of the machine's OS disk. */
  readonly disk: string | undefined
  /** Provisioning state: `Creating`, `Succeeded`, `Failed`… */
  readonly state: string
}

/** Returns a host's virtual machine, if it exists. */
export async function findVirtualMachine(
  { compute }: AzureApi,
  { group, names }: HostLocation,
  { signal }: Call,
): Promise<FoundMachine | undefined> {
  const options = { abortSignal: signal }
  const found = await ignoreNotFound(compute.virtualMachines.get(group, names.machine, options))
  if (found === undefined) return undefined
  const { osProfile, storageProfile, tags = {}, provisioningState: state = 'Unknown' } = found
  return {
    user: osProfile?.adminUsername ?? '',
    tags,
    disk: storageProfile?.osDisk?.name,
    state,
  }
}

/** Returns a virtual machine's OS disk; `undefined` if the disk cannot grow. */
export function systemDiskOf({ storageProfile }: VirtualMachine): ResourceRef | undefined {
  const { managedDisk, diffDiskSettings } = storageProfile?.osDisk ?? {}
  // An ephemeral disk is on the physical host and has a fixed size
  // (https://learn.microsoft.com/azure/virtual-machines/ephemeral-os-disks).
  const isEphemeral = diffDiskSettings?.option !== undefined
  return managedDisk?.id === undefined || isEphemeral ? undefined : parseResourceId(managedDisk.id)
}

function identityOf({ managedIdentity: id }: Decision['options']): {
  identity?: VirtualMachineIdentity
} {
  if (id === undefined) return {}
  if (id.toLowerCase() === 'system') return { identity: { type: 'SystemAssigned' } }
  return { identity: { type: 'UserAssigned', userAssignedIdentities: { [id]: {} } } }
}

/**
 * Returns the security profile. Unset options keep Azure's defaults. For Trusted Launch, secure boot and vTPM are
 * enabled, as they are by `az vm create`.
 */
function securityOf({ securityType, encryptionAtHost }: Decision['options']): {
  securityProfile?: SecurityProfile
} {
  if (securityType === undefined && encryptionAtHost === undefined) return {}
  const uefiSettings = { secureBootEnabled: true, vTpmEnabled: true }
  return {
    securityProfile: {
      ...(securityType !== undefined && { securityType }),
      ...(securityType === 'TrustedLaunch' && { uefiSettings }),
      ...(encryptionAtHost !== undefined && { encryptionAtHost }),
    },
  }
}

/** Returns the properties of a spot virtual machine. `maxPrice: -1` means up to the regular price. */
const spotOf = ({ spot, eviction }: Decision['options']): Partial<VirtualMachine> =>
  spot
    ? {
        priority: 'Spot',
        evictionPolicy: eviction === 'delete' ? 'Delete' : 'Deallocate',
        billingProfile: { maxPrice: -1 },
      }
    : {}

function virtualMachine(decision: Decision, nic: string, data: BootstrapData): VirtualMachine {
  const { location, tags, size, image, options, host, hostName } = decision
  const { zone, disk, diskType, user } = options
  return {
    location,
    tags,
    ...(zone !== undefined && { zones: [zone] }),
    ...(image.plan && { plan: image.plan }),
    ...identityOf(options),
    ...spotOf(options),
    ...securityOf(options),
    hardwareProfile: { vmSize: size.name },
    storageProfile: {
      imageReference: image.reference,
      osDisk: {
        name: host.names.disk,
        createOption: 'FromImage',
        caching: 'ReadWrite',
        deleteOption: 'Delete',
        managedDisk: { storageAccountType: diskType },
        ...(disk !== undefined && { diskSizeGB: disk }),
      },
    },
    osProfile: {
      computerName: hostName,
      adminUsername: user,
      customData: Buffer.from(data.userData).toString('base64'),
      linuxConfiguration: {
        disablePasswordAuthentication: true,
        ssh: {
          publicKeys: [{ path: `/home/${user}/.ssh/authorized_keys`, keyData: data.publicKey }],
        },
      },
    },
    networkProfile: {
      networkInterfaces: [{ id: nic, primary: true, deleteOption: 'Delete' }],
    },
    diagnosticsProfile: { bootDiagnostics: { enabled: options.bootDiagnostics } },
  }
}

/** Creates the virtual machine and records its ID as soon as Azure has accepted the request. */
export async function createMachine(
  { compute, timeouts }: AzureApi,
  decision: Decision,
  nic: string,
  data: BootstrapData,
  call: Call,
): Promise<string> {
  const { host } = decision
  call.progress('create the virtual machine', `${decision.size.name} in ${decision.location}`)
  const options = { abortSignal: call.signal, updateIntervalInMs: timeouts.pollMs }
  const poller = compute.virtualMachines.createOrUpdate(
    host.group,
    host.names.machine,
    virtualMachine(decision, nic, data),
    options,
  )
  await poller.submitted()
  const id = machineId(host)
  await data.record({ id })
  await poller.pollUntilDone({ abortSignal: call.signal })
  return id
}

/**
 * Waits for a virtual machine that an earlier attempt requested. Throws kind `failed` if its
 * creation failed.
 */
export async function waitForMachine(
  api: AzureApi,
  place: HostLocation,
  call: Call,
): Promise<void> {
  const check = async (): Promise<true | undefined> => {
    const machine = await findVirtualMachine(api, place, call)
    if (machine?.state === 'Succeeded') return true
    if (machine === undefined || machine.state === 'Failed' || machine.state === 'Canceled') {
      throw new UserError('failed', 'Azure could not create the virtual machine', {
        hint: 'run the command again to create a new virtual machine',
      })
    }
    call.progress('create the virtual machine', machine.state)
    return undefined
  }
  await poll(check, { signal: call.signal, pauseMs: api.timeouts.pollMs })
}

/**
 * Deletes the virtual machine, and with it the resources whose delete option says so: disk, interface, public address.
 */
export async function removeMachine(api: AzureApi, place: HostLocation, call: Call): Promise<void> {
  const options = { abortSignal: call.signal, updateIntervalInMs: api.timeouts.pollMs }
  call.progress('delete the virtual machine')
  await ignoreNotFound(
    api.compute.virtualMachines.delete(place.group, place.names.machine, options),
  )
}
