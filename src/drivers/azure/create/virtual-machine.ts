import { setTimeout as sleep } from 'node:timers/promises'
import type { SecurityProfile, VirtualMachine, VirtualMachineIdentity } from '@azure/arm-compute'
import { UserError } from '../../../errors.ts'
import type { Call, BootstrapData } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { type Located, type Place, locate, machineId } from './host-resources.ts'
import type { Decision } from './decision.ts'
import { ignoreNotFound } from '../api/refusal.ts'

/** A host's virtual machine, as an earlier attempt left it. */
export interface FoundMachine {
  readonly user: string
  readonly tags: Readonly<Record<string, string>>
  /** The name of its disk. */
  readonly disk: string | undefined
  /** Of being made: `Creating`, `Succeeded`, `Failed` … */
  readonly state: string
}

/** Looks for a host's virtual machine. */
export async function findVirtualMachine(
  { compute }: AzureApi,
  { group, names }: Place,
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

/** The disk that a virtual machine starts from, whoever made it; nothing where it has none that can grow. */
export function systemDiskOf({ storageProfile }: VirtualMachine): Located | undefined {
  const { managedDisk, diffDiskSettings } = storageProfile?.osDisk ?? {}
  // An ephemeral disk is on the computer beneath, and is as large as it was made (https://learn.microsoft.com/azure/virtual-machines/ephemeral-os-disks).
  const isEphemeral = diffDiskSettings?.option !== undefined
  return managedDisk?.id === undefined || isEphemeral ? undefined : locate(managedDisk.id)
}

function identityOf({ managedIdentity: id }: Decision['options']): {
  identity?: VirtualMachineIdentity
} {
  if (id === undefined) return {}
  if (id.toLowerCase() === 'system') return { identity: { type: 'SystemAssigned' } }
  return { identity: { type: 'UserAssigned', userAssignedIdentities: { [id]: {} } } }
}

/** What is left out is as Azure has it. Secure boot and vTPM are what `az vm create` asks for with Trusted Launch. */
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

/** `maxPrice: -1`: up to the price of a machine that stays. */
const spotOf = ({ spot, eviction }: Decision['options']): Partial<VirtualMachine> =>
  spot
    ? {
        priority: 'Spot',
        evictionPolicy: eviction === 'delete' ? 'Delete' : 'Deallocate',
        billingProfile: { maxPrice: -1 },
      }
    : {}

function virtualMachine(decision: Decision, nic: string, seed: BootstrapData): VirtualMachine {
  const { location, tags, size, image, options, place, hostName } = decision
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
        name: place.names.disk,
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
      customData: Buffer.from(seed.userData).toString('base64'),
      linuxConfiguration: {
        disablePasswordAuthentication: true,
        ssh: {
          publicKeys: [{ path: `/home/${user}/.ssh/authorized_keys`, keyData: seed.publicKey }],
        },
      },
    },
    networkProfile: {
      networkInterfaces: [{ id: nic, primary: true, deleteOption: 'Delete' }],
    },
    diagnosticsProfile: { bootDiagnostics: { enabled: options.bootDiagnostics } },
  }
}

/** Makes the virtual machine. Its id is recorded as soon as Azure has accepted it. */
export async function makeMachine(
  { compute, tempo }: AzureApi,
  decision: Decision,
  nic: string,
  seed: BootstrapData,
  call: Call,
): Promise<string> {
  const { place } = decision
  call.progress('create virtual machine', `${decision.size.name} in ${decision.location}`)
  const options = { abortSignal: call.signal, updateIntervalInMs: tempo.pollMs }
  const poller = compute.virtualMachines.createOrUpdate(
    place.group,
    place.names.machine,
    virtualMachine(decision, nic, seed),
    options,
  )
  await poller.submitted()
  const id = machineId(place)
  await seed.record({ id })
  await poller.pollUntilDone({ abortSignal: call.signal })
  return id
}

/** Waits for a virtual machine that an earlier attempt asked for. Throws kind `failed` where Azure could not make it. */
export async function awaitMachine(api: AzureApi, place: Place, call: Call): Promise<void> {
  for (;;) {
    const machine = await findVirtualMachine(api, place, call)
    if (machine?.state === 'Succeeded') return
    if (machine === undefined || machine.state === 'Failed' || machine.state === 'Canceled') {
      throw new UserError('failed', 'Azure could not make the virtual machine', {
        hint: 'run the command again to create a new one',
      })
    }
    call.progress('create virtual machine', machine.state)
    await sleep(api.tempo.pollMs, undefined, { signal: call.signal })
  }
}

/** Removes the virtual machine, and with it what is set to go along: disk, interface, public address. */
export async function removeMachine(api: AzureApi, place: Place, call: Call): Promise<void> {
  const options = { abortSignal: call.signal, updateIntervalInMs: api.tempo.pollMs }
  call.progress('delete virtual machine')
  await ignoreNotFound(
    api.compute.virtualMachines.delete(place.group, place.names.machine, options),
  )
}
