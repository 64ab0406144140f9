import { UserError } from '../../../errors.ts'
import type { HostRecord } from '../../../machine/machine.ts'
import type { DriverState } from '../../driver.ts'
import { foreignHint } from '../../ownership.ts'
import type { Account } from '../api/azure-api.ts'
import { isCloudName } from '../api/clouds.ts'
import { type ResourceNames, nameEnding, namesOf, ownGroupName } from '../names.ts'

/** A resource in a resource group. */
export interface ResourceRef {
  readonly group: string
  readonly name: string
}

/** The account, group and names of a host's resources: enough to find all of them. */
export interface HostLocation {
  readonly account: Account
  readonly group: string
  /** Whether fleet created the group for this host and deletes it with the host. */
  readonly ownGroup: boolean
  /** Whether the host has no public address. */
  readonly isPrivate: boolean
  readonly names: ResourceNames
  /**
   * The virtual network that the host shares with other hosts; undefined if the host is in a network that fleet created
   * only for it, or in the user's own network.
   */
  readonly network?: ResourceRef | undefined
  /**
   * The resource with the host's address, for a host that fleet did not create, because fleet did not choose this
   * resource's name.
   */
  readonly addressedBy?: ResourceRef | undefined
}

/** Parses a resource ID. */
export function parseResourceId(id = ''): ResourceRef {
  const [, group = '', name = ''] = /\/resourceGroups\/([^/]+)\/.*\/([^/]+)$/i.exec(id) ?? []
  return { group, name }
}

/**
 * Returns the resource with the host's address: its network interface if the host is private, or else its public
 * address.
 */
export const addressResource = ({
  addressedBy,
  isPrivate,
  group,
  names,
}: HostLocation): ResourceRef =>
  addressedBy ?? { group, name: isPrivate ? names.networkInterface : names.publicAddress }

/** Returns the ID of a host's virtual machine. Azure itself may return the same ID in different spellings. */
export const machineId = ({ account, group, names }: HostLocation): string =>
  `/subscriptions/${account.subscription}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachines/${names.machine}`

/** Returns the fields of a record that store a host location. */
export const recordLocation = ({
  account,
  group,
  ownGroup,
  isPrivate,
  names,
  network,
  addressedBy,
}: HostLocation): DriverState => ({
  ...(account.cloud !== 'public' && { cloud: account.cloud }),
  ...(account.tenant !== undefined && { tenant: account.tenant }),
  subscription: account.subscription,
  group,
  ...(!ownGroup && { groupOwner: 'you' }),
  name: names.machine,
  ...(isPrivate && { access: 'private' }),
  ...(network && { network: `${network.group}/${network.name}` }),
  ...(addressedBy && { addressedBy: `${addressedBy.group}/${addressedBy.name}` }),
})

/** Pattern for a name of a subscription, tenant, group or resource: one segment of a path, but not `.` or `..`. */
const pathPart = /^(?!\.{1,2}$)[\p{L}\p{N}_().-]{1,90}$/u

/** Throws kind `inventory` for a value that would change the path of a request. */
function checkParts(parts: Readonly<Record<string, string | undefined>>): void {
  for (const [key, value] of Object.entries(parts)) {
    if (value === undefined || pathPart.test(value)) continue
    throw new UserError(
      'inventory',
      `invalid ${key} under "host:" in the inventory: ${JSON.stringify(value)}`,
      {
        hint: 'correct "resources" under "host:" in the inventory',
      },
    )
  }
}

/** Throws kind `inventory` unless the names are those that fleet derives from the token. */
function checkNames({
  token,
  group,
  ownGroup,
  name,
}: Pick<HostLocation, 'group' | 'ownGroup'> & {
  readonly token: string | undefined
  readonly name: string
}): void {
  const isOwnName = token === undefined || name.endsWith(nameEnding(token))
  const isOwnGroup = !ownGroup || (token !== undefined && group === ownGroupName(name))
  if (isOwnName && isOwnGroup) return
  const what = isOwnName ? `the resource group ${group}` : `the name ${name}`
  throw new UserError(
    'inventory',
    `"host:" in the inventory contains ${what}, which does not belong to this machine`,
    {
      hint: foreignHint,
    },
  )
}

/** Reads the account in a record; returns `undefined` if none has been recorded yet. */
function readAccount({ resources = {} }: HostRecord): Account | undefined {
  const { cloud = 'public', tenant, subscription } = resources
  if (subscription === undefined) return undefined
  if (!isCloudName(cloud)) {
    throw new UserError(
      'inventory',
      `"host:" in the inventory contains an unknown Azure cloud: ${cloud}`,
    )
  }
  checkParts({ tenant, subscription })
  return { cloud, subscription, tenant }
}

/**
 * Reads the reference to a shared resource, `GROUP/NAME`, that a record stores under a key. Throws kind `inventory` for
 * a name that fleet does not give to shared resources.
 */
function readShared(host: HostRecord, key: string): ResourceRef | undefined {
  const [group, name, ...more] = host.resources?.[key]?.split('/') ?? []
  if (group === undefined) return undefined
  checkParts({ [key]: group })
  // Names of shared resources start with `fleet-`.
  checkParts({ [key]: more.length > 0 || !name?.startsWith('fleet-') ? '/' : name })
  return { group, name: name ?? '' }
}

/** Reads the shared network and the account in a record, which does not need to contain anything else. */
export function readNetwork(
  host: HostRecord,
): { readonly account: Account; readonly network: ResourceRef } | undefined {
  const account = readAccount(host)
  const network = readShared(host, 'network')
  return account === undefined || network === undefined ? undefined : { account, network }
}

/** Reads a swarm's application security group and the account in a record. */
export function readPeerGroup(
  host: HostRecord,
): { readonly account: Account; readonly group: ResourceRef } | undefined {
  const account = readAccount(host)
  const group = readShared(host, 'peerGroup')
  return account === undefined || group === undefined ? undefined : { account, group }
}

/** Reads the host location in a record; returns `undefined` if none has been recorded yet. */
export function readLocation(host: HostRecord): HostLocation | undefined {
  const { token, resources = {} } = host
  const { group, groupOwner, name, access } = resources
  const [addressGroup, addressName, ...more] = resources['addressedBy']?.split('/') ?? []
  const account = readAccount(host)
  if (account === undefined || group === undefined || name === undefined) return undefined
  const network = readNetwork(host)?.network
  checkParts({ group, name, addressedBy: more[0] })
  checkParts({ addressedBy: addressGroup })
  checkParts({ addressedBy: addressName })
  const ownGroup = groupOwner !== 'you'
  checkNames({ token, group, ownGroup, name })
  return {
    ...{ account, group, ownGroup },
    ...(network && { network }),
    isPrivate: access === 'private',
    names: namesOf(name),
    ...(addressGroup !== undefined &&
      addressName !== undefined && { addressedBy: { group: addressGroup, name: addressName } }),
  }
}

/** Like {@link readLocation}, but throws kind `inventory` if none has been recorded. */
export function requireLocation(host: HostRecord): HostLocation {
  const place = readLocation(host)
  if (place !== undefined) return place
  throw new UserError(
    'inventory',
    '"host:" in the inventory lacks the Azure subscription, resource group, or name',
    {
      hint: 'remove the machine and create it again',
    },
  )
}
