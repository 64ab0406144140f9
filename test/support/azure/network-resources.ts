import { randomUUID } from 'node:crypto'
import { type Answer, Refusal, type Request } from './exchange.ts'
import type { Operations } from './operations.ts'
import {
  type Address,
  type Body,
  type Resource,
  type Store,
  findResource,
  idOf,
  requireGroup,
  requireResource,
  resourcesOf,
} from './store.ts'

interface Reference {
  readonly id: string
  readonly properties?: { readonly deleteOption?: string }
}

/** The IP configuration of a network interface, as sent by clients. */
export interface IpConfiguration {
  readonly name: string
  readonly id?: string
  readonly properties: {
    readonly subnet?: Reference
    readonly publicIPAddress?: Reference
    readonly privateIPAddress?: string
    readonly applicationSecurityGroups?: readonly Reference[]
  }
}

export interface NetworkContext {
  readonly store: Store
  readonly operations: Operations
  /** Returns the next public address. */
  readonly newPublicAddress: () => Promise<string>
}

type Properties = Record<string, unknown>

export const configurationsOf = ({ properties }: Body): readonly IpConfiguration[] =>
  (properties['ipConfigurations'] ?? []) as IpConfiguration[]

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase()

/** Returns a child resource for a response, with its ID and state. */
const child = (parent: string, kind: string, sent: Properties): Properties => ({
  name: sent['name'],
  id: `${parent}/${kind}/${String(sent['name'])}`,
  properties: { provisioningState: 'Succeeded', ...(sent['properties'] as Properties) },
})

const children = (parent: string, kind: string, sent: unknown): Properties[] =>
  ((sent ?? []) as Properties[]).map((one) => child(parent, kind, one))

function requireReferenced(store: Store, id: string | undefined, what: string): void {
  const parent = id?.replace(/\/subnets\/[^/]+$/, '')
  if (id === undefined) return
  const found = findResource(store, parent ?? '')
  if (found !== undefined && !found.busy) return
  throw new Refusal(
    found === undefined ? 400 : 429,
    found === undefined ? 'InvalidResourceReference' : 'ReferencedResourceNotProvisioned',
    `Resource ${id} referenced by ${what} was not found or is not provisioned.`,
  )
}

function checkInterface(store: Store, id: string, properties: Properties): void {
  requireReferenced(store, (properties['networkSecurityGroup'] as Reference | undefined)?.id, id)
  for (const { properties: configuration } of (properties['ipConfigurations'] ??
    []) as IpConfiguration[]) {
    requireReferenced(store, configuration.subnet?.id, id)
    const address = configuration.publicIPAddress?.id
    requireReferenced(store, address, id)
    for (const one of configuration.applicationSecurityGroups ?? [])
      requireReferenced(store, one.id, id)
    const user = resourcesOf(store, 'Microsoft.Network/networkInterfaces').find(
      ({ body }) =>
        !same(body.id, id) &&
        configurationsOf(body).some((one) =>
          same(one.properties.publicIPAddress?.id, address ?? '-'),
        ),
    )
    if (user)
      throw new Refusal(400, 'PublicIPAddressInUse', `${address} is used by ${user.body.id}`)
  }
}

/**
 * Rejects a change of the location of an existing resource
 * (https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-invalid-location).
 */
function checkLocation(existing: Resource | undefined, location: unknown): void {
  if (existing === undefined || existing.body.location === location) return
  throw new Refusal(
    409,
    'InvalidResourceLocation',
    `The resource '${existing.body.name}' already exists in location '${existing.body.location}'. A resource with the same name cannot be created in location '${String(location)}'.`,
  )
}

const networkOf = (configurations: unknown): string | undefined =>
  ((configurations ?? []) as IpConfiguration[])[0]?.properties.subnet?.id
    .toLowerCase()
    .replace(/\/subnets\/.*/, '')

/**
 * Rejects moving an interface to another virtual network
 * (https://learn.microsoft.com/azure/virtual-network/virtual-network-network-interface, "Change
 * subnet assignment"). The error code is made up.
 */
function checkNetwork(existing: Resource | undefined, properties: Properties): void {
  const before = networkOf(existing?.body.properties['ipConfigurations'])
  if (before === undefined || before === networkOf(properties['ipConfigurations'])) return
  throw new Refusal(400, 'NetworkOfInterfaceCannotChange', `The interface is in ${before}.`)
}

let privateAddresses = 3

function checkPublicAddress(sent: Properties, properties: Properties): void {
  const { name } = (sent['sku'] ?? {}) as { name?: string }
  if (name === 'Standard' && properties['publicIPAllocationMethod'] === 'Static') return
  throw new Refusal(
    400,
    'IPv4BasicSkuPublicIpCountLimitReached',
    'Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription.',
  )
}

/** Completes a resource as Azure does when it is provisioned. */
async function provision(
  { newPublicAddress }: NetworkContext,
  id: string,
  type: string,
  sent: Properties,
  before: Properties,
): Promise<Properties> {
  const guid = before['resourceGuid'] ?? randomUUID()
  const base = { ...sent, provisioningState: 'Succeeded', resourceGuid: guid }
  if (type === 'networkSecurityGroups') {
    return { ...base, securityRules: children(id, 'securityRules', sent['securityRules']) }
  }
  if (type === 'applicationSecurityGroups') return base
  if (type === 'virtualNetworks')
    return { ...base, subnets: children(id, 'subnets', sent['subnets']) }
  if (type === 'publicIPAddresses') {
    const ipAddress = before['ipAddress'] ?? (await newPublicAddress())
    return { ...base, ipAddress, idleTimeoutInMinutes: 4 }
  }
  const ipConfigurations = ((sent['ipConfigurations'] ?? []) as Properties[]).map((one) => {
    const made = child(id, 'ipConfigurations', one)
    const known = (before['ipConfigurations'] as IpConfiguration[] | undefined)?.[0]
    const privateIPAddress =
      known?.properties.privateIPAddress ?? `10.0.0.${(privateAddresses += 1)}`
    return { ...made, properties: { ...(made['properties'] as Properties), privateIPAddress } }
  })
  const { virtualMachine } = before
  return { ...base, ipConfigurations, ...(virtualMachine !== undefined && { virtualMachine }) }
}

function put(context: NetworkContext, address: Address, request: Request): Answer {
  const { store, operations } = context
  const { location: groupLocation } = requireGroup(store, address.group)
  const sent = JSON.parse(request.text) as Properties
  const properties = (sent['properties'] ?? {}) as Properties
  const id = idOf(address)
  const existing = findResource(store, id)
  if (existing?.busy) {
    throw new Refusal(
      409,
      'AnotherOperationInProgress',
      `Another operation on ${id} is in progress.`,
    )
  }
  checkLocation(existing, sent['location'])
  if (address.type === 'publicIPAddresses') checkPublicAddress(sent, properties)
  if (address.type === 'networkInterfaces') {
    checkInterface(store, id, properties)
    checkNetwork(existing, properties)
  }
  const before = existing?.body.properties ?? {}
  const resource: Resource = {
    body: {
      ...sent,
      id,
      name: address.name,
      type: `Microsoft.Network/${address.type}`,
      location: (sent['location'] as string | undefined) ?? groupLocation,
      etag: `W/"${randomUUID()}"`,
      properties: { ...before, ...properties, provisioningState: 'Updating' },
    },
    busy: true,
    secrets: {},
  }
  store.resources.set(id.toLowerCase(), resource)
  const links = operations.start(store.subscription, 'Microsoft.Network', 200, async () => {
    const after = await provision(context, id, address.type, properties, before)
    resource.body = { ...resource.body, properties: after }
    resource.busy = false
  })
  return {
    status: existing === undefined ? 201 : 200,
    headers: { 'azure-asyncoperation': links.asyncOperation },
    body: resource.body,
  }
}

/** Returns why a resource cannot be deleted: Azure's error code, and the resource that is using it. */
function holdersOf(store: Store, type: string, id: string): readonly [string, Body | undefined] {
  const interfaces = resourcesOf(store, 'Microsoft.Network/networkInterfaces').map(
    ({ body }) => body,
  )
  const referring = (refers: (one: IpConfiguration) => boolean) =>
    interfaces.find((body) => configurationsOf(body).some(refers))
  if (type === 'publicIPAddresses') {
    return [
      'PublicIPAddressCannotBeDeleted',
      referring(({ properties }) => same(properties.publicIPAddress?.id, id)),
    ]
  }
  if (type === 'virtualNetworks') {
    const inside = `${id}/subnets/`.toLowerCase()
    return [
      'InUseSubnetCannotBeDeleted',
      referring(
        ({ properties }) => properties.subnet?.id.toLowerCase().startsWith(inside) ?? false,
      ),
    ]
  }
  if (type === 'applicationSecurityGroups') {
    const rule = resourcesOf(store, 'Microsoft.Network/networkSecurityGroups').find(({ body }) =>
      JSON.stringify(body.properties['securityRules'])
        .toLowerCase()
        .includes(`${id}"`.toLowerCase()),
    )
    return [
      'InUseApplicationSecurityGroupCannotBeDeleted', // made up
      rule?.body ??
        referring(({ properties }) =>
          (properties.applicationSecurityGroups ?? []).some((one) => same(one.id, id)),
        ),
    ]
  }
  if (type === 'networkSecurityGroups') {
    return [
      'InUseNetworkSecurityGroupCannotBeDeleted',
      interfaces.find(({ properties }) =>
        same((properties['networkSecurityGroup'] as Reference | undefined)?.id, id),
      ),
    ]
  }
  const attached = findResource(store, id)?.body.properties['virtualMachine'] as
    | Reference
    | undefined
  return ['NicInUse', attached && findResource(store, attached.id)?.body]
}

function remove({ store, operations }: NetworkContext, address: Address): Answer {
  requireGroup(store, address.group)
  const id = idOf(address)
  const existing = findResource(store, id)
  if (existing === undefined) return { status: 204 }
  if (existing.busy) {
    throw new Refusal(
      409,
      'AnotherOperationInProgress',
      `Another operation on ${id} is in progress.`,
    )
  }
  const [code, holder] = holdersOf(store, address.type, id)
  if (holder !== undefined) throw new Refusal(400, code, `${id} is in use by ${holder.id}.`)
  existing.busy = true
  existing.body = {
    ...existing.body,
    properties: { ...existing.body.properties, provisioningState: 'Deleting' },
  }
  const links = operations.start(store.subscription, 'Microsoft.Network', 204, async () => {
    store.resources.delete(id.toLowerCase())
  })
  return {
    status: 202,
    headers: { location: links.location, 'azure-asyncoperation': links.asyncOperation },
  }
}

/** Returns a virtual network for a response: each subnet with its interfaces. */
function showNetwork(store: Store, body: Body): Body {
  const used = resourcesOf(store, 'Microsoft.Network/networkInterfaces').flatMap((one) =>
    configurationsOf(one.body),
  )
  const subnets = ((body.properties['subnets'] ?? []) as Properties[]).map((subnet) => {
    const ipConfigurations = used
      .filter(({ properties }) => same(properties.subnet?.id, String(subnet['id'])))
      .map(({ id }) => ({ id }))
    if (ipConfigurations.length === 0) return subnet
    return { ...subnet, properties: { ...(subnet['properties'] as Properties), ipConfigurations } }
  })
  return { ...body, properties: { ...body.properties, subnets } }
}

/** Answers requests for interfaces, public addresses, security groups and virtual networks. */
export function answerNetwork(
  context: NetworkContext,
  address: Address,
  request: Request,
): Answer | undefined {
  const { method } = request
  if (method === 'GET') {
    const { body } = requireResource(context.store, address)
    const isNetwork = address.type === 'virtualNetworks'
    return { status: 200, body: isNetwork ? showNetwork(context.store, body) : body }
  }
  if (method === 'PUT') return put(context, address, request)
  if (method === 'DELETE') return remove(context, address)
  return undefined
}
