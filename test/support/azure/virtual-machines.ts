import { randomUUID } from 'node:crypto'
import { type Answer, Refusal, type Request } from './exchange.ts'
import { type NetworkContext, configurationsOf } from './network-resources.ts'
import {
  type Address,
  type Body,
  type Resource,
  type Store,
  findResource,
  idOf,
  requireGroup,
  requireResource,
} from './store.ts'
import { sizes } from './catalogue.ts'

type Properties = Record<string, unknown>

/** A virtual machine, with only those properties that the test double uses. */
interface Sent {
  readonly location: string
  readonly tags?: Record<string, string>
  readonly zones?: string[]
  readonly properties: {
    readonly hardwareProfile: { readonly vmSize: string }
    readonly storageProfile: {
      readonly osDisk: { readonly name: string; readonly deleteOption?: string } & Properties
    } & Properties
    readonly osProfile: {
      readonly adminUsername?: string
      readonly adminPassword?: string
      readonly customData?: string
      readonly linuxConfiguration?: {
        readonly ssh?: { readonly publicKeys: readonly { readonly keyData: string }[] }
      }
    } & Properties
    readonly networkProfile: { readonly networkInterfaces: readonly NicReference[] }
  } & Properties
}

interface NicReference {
  readonly id: string
  readonly properties?: { readonly deleteOption?: string }
}

/** A virtual machine to boot. */
interface Boot {
  readonly name: string
  readonly address: string | undefined
  readonly user: string
  /** Public login key. */
  readonly publicKey: string | undefined
  readonly customData: Uint8Array
}

/** The hosts behind virtual machines. */
export interface Computers {
  /** Boots a host: if `first`, from a new disk with the user-data; later boots keep the disk. */
  boot(boot: Boot, first: boolean): Promise<void>
  /** Stops a host, with or without shutdown. */
  halt(name: string, gracefully: boolean): Promise<void>
  discard(name: string): Promise<void>
}

export interface ComputeContext extends NetworkContext {
  readonly computers: Computers
  /** Returns the error with which an accepted creation fails, for example because there is no capacity. */
  readonly allocation: (name: string) => Refusal | undefined
}

const power = new WeakMap<Resource, string>()

const nicsOf = (body: Body): readonly NicReference[] =>
  (body.properties as unknown as Sent['properties']).networkProfile.networkInterfaces

function bootOf(store: Store, resource: Resource): Boot {
  const { body, secrets } = resource
  const { osProfile } = body.properties as unknown as Sent['properties']
  const nic = findResource(store, nicsOf(body)[0]?.id ?? '')
  const reference = nic && configurationsOf(nic.body)[0]?.properties.publicIPAddress?.id
  const address = findResource(store, reference ?? '')?.body.properties['ipAddress']
  return {
    name: body.name,
    address: typeof address === 'string' ? address : undefined,
    user: osProfile.adminUsername ?? '',
    publicKey: osProfile.linuxConfiguration?.ssh?.publicKeys[0]?.keyData,
    customData: Buffer.from((secrets['customData'] as string | undefined) ?? '', 'base64'),
  }
}

function check(store: Store, id: string, sent: Sent): void {
  const { osProfile, hardwareProfile, networkProfile } = sent.properties
  if (!sizes.some(({ name }) => name === hardwareProfile.vmSize)) {
    throw new Refusal(
      400,
      'InvalidParameter',
      `The value ${hardwareProfile.vmSize} provided for the VM size is not valid.`,
    )
  }
  if (osProfile.adminUsername === undefined || osProfile.linuxConfiguration?.ssh === undefined) {
    throw new Refusal(400, 'InvalidParameter', "Required parameter 'osProfile' is missing.")
  }
  if (Buffer.from(osProfile.customData ?? '', 'base64').length > 65_535) {
    throw new Refusal(400, 'InvalidParameter', 'Custom data in OSProfile is too long.')
  }
  for (const { id: nicId } of networkProfile.networkInterfaces) {
    const nic = findResource(store, nicId)
    if (nic === undefined) throw new Refusal(404, 'NotFound', `Resource ${nicId} not found.`)
    const user = (nic.body.properties['virtualMachine'] as { id: string } | undefined)?.id
    if (user !== undefined && user.toLowerCase() !== id.toLowerCase()) {
      throw new Refusal(400, 'NicInUse', `Network Interface ${nicId} is used by ${user}.`)
    }
  }
}

function diskOf(body: Body): Body {
  const { osDisk } = (body.properties as unknown as Sent['properties']).storageProfile
  const id = body.id.replace(/\/virtualMachines\/.*/, `/disks/${osDisk.name}`)
  return {
    id,
    name: osDisk.name,
    type: 'Microsoft.Compute/disks',
    location: body.location,
    ...(body.tags && { tags: body.tags }),
    managedBy: body.id,
    properties: {
      ...{
        provisioningState: 'Succeeded',
        diskState: 'Attached',
        creationData: { createOption: 'FromImage' },
      },
      diskSizeGB: osDisk['diskSizeGB'] ?? 30,
    },
  }
}

/** Sets or clears the virtual machine of an interface. */
function attach(store: Store, body: Body, machine: { id: string } | undefined): void {
  for (const { id } of nicsOf(body)) {
    const nic = findResource(store, id)
    if (nic === undefined) continue
    const { virtualMachine: _, ...properties } = nic.body.properties
    nic.body = {
      ...nic.body,
      properties: { ...properties, ...(machine && { virtualMachine: machine }) },
    }
  }
}

function setState(resource: Resource, provisioningState: string): void {
  resource.body = {
    ...resource.body,
    properties: { ...resource.body.properties, provisioningState },
  }
}

/** Returns Azure's description of a virtual machine: without the password and custom data, with added properties. */
function bodyOf(address: Address, sent: Sent): Body {
  const { adminPassword: _, customData: __, ...osProfile } = sent.properties.osProfile
  const { storageProfile } = sent.properties
  // Azure returns the resource group of a virtual machine in upper case.
  const id = idOf({ ...address, group: address.group.toUpperCase() })
  const disk = id.replace(/\/virtualMachines\/.*/, `/disks/${storageProfile.osDisk.name}`)
  const managedDisk = { ...(storageProfile.osDisk['managedDisk'] as Properties), id: disk }
  return {
    ...sent,
    id,
    name: address.name,
    type: 'Microsoft.Compute/virtualMachines',
    properties: {
      ...sent.properties,
      osProfile: { ...osProfile, allowExtensionOperations: true },
      storageProfile: {
        ...storageProfile,
        osDisk: { ...storageProfile.osDisk, osType: 'Linux', managedDisk },
      },
      vmId: randomUUID(),
      timeCreated: new Date().toISOString(),
      provisioningState: 'Creating',
    },
  }
}

function putAgain(existing: Resource, sent: Sent): Answer {
  const { customData } = sent.properties.osProfile
  if (customData !== undefined && customData !== existing.secrets['customData']) {
    throw new Refusal(
      409,
      'PropertyChangeNotAllowed',
      "Changing property 'osProfile.customData' is not allowed.",
    )
  }
  return { status: 200, body: existing.body }
}

function put(context: ComputeContext, address: Address, request: Request): Answer {
  const { store, operations, computers, allocation } = context
  requireGroup(store, address.group)
  const sent = JSON.parse(request.text) as Sent
  const id = idOf(address)
  const existing = findResource(store, id)
  if (existing !== undefined) return putAgain(existing, sent)
  check(store, id, sent)
  const resource: Resource = {
    body: bodyOf(address, sent),
    busy: true,
    secrets: { customData: sent.properties.osProfile.customData },
  }
  store.resources.set(id.toLowerCase(), resource)
  attach(store, resource.body, { id })
  const links = operations.start(store.subscription, 'Microsoft.Compute', 200, async () => {
    // The virtual machine may have been deleted in the meantime.
    if (findResource(store, id) !== resource) {
      throw new Refusal(409, 'OperationPreempted', 'The operation has been preempted.')
    }
    const refusal = allocation(address.name)
    resource.busy = false
    if (refusal !== undefined) {
      setState(resource, 'Failed')
      throw refusal
    }
    const disk = diskOf(resource.body)
    store.resources.set(disk.id.toLowerCase(), { body: disk, busy: false, secrets: {} })
    await computers.boot(bootOf(store, resource), true)
    power.set(resource, 'running')
    setState(resource, 'Succeeded')
  })
  return {
    status: 201,
    headers: { 'azure-asyncoperation': links.asyncOperation },
    body: resource.body,
  }
}

/**
 * Changes the size or encryption of a deallocated machine. If the machine were running, Azure would restart it to
 * change the size, and would reject a change of the encryption.
 */
function change({ store }: ComputeContext, address: Address, request: Request): Answer {
  const resource = requireResource(store, address)
  const { properties } = JSON.parse(request.text) as {
    properties: Partial<Sent['properties']> & { securityProfile?: Properties }
  }
  const { hardwareProfile, securityProfile } = properties
  if (hardwareProfile && !sizes.some(({ name }) => name === hardwareProfile.vmSize)) {
    throw new Refusal(400, 'InvalidParameter', `The value ${hardwareProfile.vmSize} is not valid.`)
  }
  if (resource.busy || power.get(resource) !== 'deallocated') {
    throw new Refusal(409, 'OperationNotAllowed', 'Unable to resize the VM unless deallocated.')
  }
  resource.body = {
    ...resource.body,
    properties: {
      ...resource.body.properties,
      ...(hardwareProfile && { hardwareProfile }),
      ...(securityProfile && {
        securityProfile: {
          ...(resource.body.properties['securityProfile'] as Properties | undefined),
          ...securityProfile,
        },
      }),
    },
  }
  return { status: 200, body: resource.body }
}

/** Deletes the resources that are set to be deleted with the virtual machine, and detaches the others. */
function cascade(store: Store, body: Body): void {
  const { osDisk } = (body.properties as unknown as Sent['properties']).storageProfile
  if (osDisk.deleteOption === 'Delete') store.resources.delete(diskOf(body).id.toLowerCase())
  attach(store, body, undefined)
  for (const { id, properties } of nicsOf(body)) {
    const nic = findResource(store, id)
    if (properties?.deleteOption !== 'Delete' || nic === undefined) continue
    store.resources.delete(id.toLowerCase())
    for (const { properties: configuration } of configurationsOf(nic.body)) {
      const { publicIPAddress } = configuration
      if (publicIPAddress?.properties?.deleteOption !== 'Delete') continue
      store.resources.delete(publicIPAddress.id.toLowerCase())
    }
  }
}

function remove({ store, operations, computers }: ComputeContext, address: Address): Answer {
  requireGroup(store, address.group)
  const existing = findResource(store, idOf(address))
  if (existing === undefined) return { status: 204 }
  setState(existing, 'Deleting')
  const links = operations.start(store.subscription, 'Microsoft.Compute', 204, async () => {
    await computers.discard(existing.body.name)
    cascade(store, existing.body)
    store.resources.delete(existing.body.id.toLowerCase())
  })
  return {
    status: 202,
    headers: { location: links.location, 'azure-asyncoperation': links.asyncOperation },
  }
}

const words: Readonly<Record<string, string>> = {
  running: 'VM running',
  stopped: 'VM stopped',
  deallocated: 'VM deallocated',
  starting: 'VM starting',
  stopping: 'VM stopping',
  deallocating: 'VM deallocating',
}

function viewOf(resource: Resource) {
  const now = power.get(resource)
  const provisioning = String(resource.body.properties['provisioningState']).toLowerCase()
  const statuses = [
    {
      code: `ProvisioningState/${provisioning}`,
      level: 'Info',
      displayStatus: `Provisioning ${provisioning}`,
    },
    ...(now === undefined
      ? []
      : [{ code: `PowerState/${now}`, level: 'Info', displayStatus: words[now] }]),
  ]
  return { statuses }
}

/** The states during and after each power action. */
const actions: Readonly<Record<string, readonly [string, string]>> = {
  start: ['starting', 'running'],
  restart: ['starting', 'running'],
  poweroff: ['stopping', 'stopped'],
  deallocate: ['deallocating', 'deallocated'],
}

function act(context: ComputeContext, address: Address, request: Request): Answer | undefined {
  const { store, operations, computers } = context
  const action = address.action?.toLowerCase() ?? ''
  const change = actions[action]
  if (change === undefined) return undefined
  const [meanwhile, after] = change
  const resource = requireResource(store, address)
  const before = power.get(resource)
  if (
    resource.busy ||
    before === undefined ||
    Object.values(actions).some(([way]) => way === before)
  ) {
    throw new Refusal(
      409,
      'Conflict',
      'The request failed due to conflict with a concurrent request.',
    )
  }
  if (action === 'restart' && before !== 'running') {
    throw new Refusal(409, 'OperationNotAllowed', `Cannot restart a VM that is ${before}.`)
  }
  power.set(resource, meanwhile)
  const gracefully = request.query.get('skipShutdown') !== 'true'
  const links = operations.start(store.subscription, 'Microsoft.Compute', 200, async () => {
    if (before === 'running') await computers.halt(resource.body.name, gracefully)
    if (after === 'running') await computers.boot(bootOf(store, resource), false)
    power.set(resource, after)
  })
  return {
    status: 202,
    headers: { location: links.location, 'azure-asyncoperation': links.asyncOperation },
  }
}

/** Returns a virtual machine for a list with `statusOnly=true`. */
export const statusOf = (resource: Resource): Body => ({
  ...resource.body,
  properties: {
    provisioningState: resource.body.properties['provisioningState'],
    vmId: resource.body.properties['vmId'],
    instanceView: viewOf(resource),
  },
})

/** Answers requests that create, change, delete, get, start or stop virtual machines. */
export function answerMachine(
  context: ComputeContext,
  address: Address,
  request: Request,
): Answer | undefined {
  const { method, query } = request
  if (method === 'POST') return act(context, address, request)
  if (method === 'PUT') return put(context, address, request)
  if (method === 'DELETE') return remove(context, address)
  if (method === 'PATCH') return change(context, address, request)
  if (method !== 'GET') return undefined
  const resource = requireResource(context.store, address)
  if (address.action?.toLowerCase() === 'instanceview') {
    return { status: 200, body: viewOf(resource) }
  }
  if (query.get('$expand')?.toLowerCase() !== 'instanceview') {
    return { status: 200, body: resource.body }
  }
  const properties = { ...resource.body.properties, instanceView: viewOf(resource) }
  return { status: 200, body: { ...resource.body, properties } }
}

/** Enlarges a disk. Azure does not shrink disks, or enlarge the disk of a running machine. */
function enlarge(store: Store, address: Address, request: Request): Answer {
  const disk = requireResource(store, address)
  const { diskSizeGB } = (JSON.parse(request.text) as { properties: { diskSizeGB: number } })
    .properties
  const owner = findResource(store, String(disk.body['managedBy']))
  if (owner !== undefined && power.get(owner) !== 'deallocated') {
    throw new Refusal(
      409,
      'OperationNotAllowed',
      'Cannot resize disk while attached to running VM.',
    )
  }
  if (diskSizeGB < Number(disk.body.properties['diskSizeGB'])) {
    throw new Refusal(400, 'OperationNotAllowed', 'Disk cannot be resized to a smaller size.')
  }
  disk.body = { ...disk.body, properties: { ...disk.body.properties, diskSizeGB } }
  return { status: 200, body: disk.body }
}

/**
 * Answers requests for disks. A disk is created and deleted with its virtual machine; if it remains, it is deleted
 * separately.
 */
export function answerDisk(
  { store, operations }: ComputeContext,
  address: Address,
  request: Request,
): Answer | undefined {
  if (request.method === 'GET') return { status: 200, body: requireResource(store, address).body }
  if (request.method === 'PATCH') return enlarge(store, address, request)
  if (request.method !== 'DELETE') return undefined
  requireGroup(store, address.group)
  const existing = findResource(store, idOf(address))
  if (existing === undefined) return { status: 204 }
  const owner = existing.body['managedBy']
  if (typeof owner === 'string' && findResource(store, owner) !== undefined) {
    throw new Refusal(
      409,
      'OperationNotAllowed',
      `Disk ${address.name} is attached to VM ${owner}.`,
    )
  }
  const links = operations.start(store.subscription, 'Microsoft.Compute', 204, async () => {
    store.resources.delete(existing.body.id.toLowerCase())
  })
  return { status: 202, headers: { location: links.location } }
}
