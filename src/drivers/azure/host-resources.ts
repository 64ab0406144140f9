import { UserError } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import type { Resources } from '../driver.ts'
import type { Account } from './azure-api.ts'
import { isCloudName } from './clouds.ts'
import { type Names, namesOf } from './names.ts'

/** Something in a resource group. */
interface Located {
  readonly group: string
  readonly name: string
}

/** Where a host is, and what its parts are called: enough to find all of it. */
export interface Place {
  readonly account: Account
  readonly group: string
  /** The group is the host's own, made with it and removed with it. */
  readonly ownGroup: boolean
  /** It has no public address. */
  readonly isPrivate: boolean
  readonly names: Names
  /** What gives it its address, where that is not called as fleet does it: of a host that somebody else made. */
  readonly addressedBy?: Located | undefined
}

/** What gives a host its address: its network interface where it is private, else its public address. */
export const addressPart = ({ addressedBy, isPrivate, group, names }: Place): Located =>
  addressedBy ?? { group, name: isPrivate ? names.networkInterface : names.publicAddress }

/** The id of a host's virtual machine. Azure itself answers it in one spelling or another. */
export const machineId = ({ account, group, names }: Place): string =>
  `/subscriptions/${account.subscription}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachines/${names.machine}`

/** A place, as the record of a host keeps it. */
export const recordPlace = ({
  account,
  group,
  ownGroup,
  isPrivate,
  names,
  addressedBy,
}: Place): Resources => ({
  ...(account.cloud !== 'public' && { cloud: account.cloud }),
  ...(account.tenant !== undefined && { tenant: account.tenant }),
  subscription: account.subscription,
  group,
  ...(!ownGroup && { groupOwner: 'you' }),
  name: names.machine,
  ...(isPrivate && { access: 'private' }),
  ...(addressedBy && { addressedBy: `${addressedBy.group}/${addressedBy.name}` }),
})

/** The place that a record keeps; nothing where no attempt came as far as choosing one. */
export function readPlace({ resources = {} }: HostRecord): Place | undefined {
  const { cloud = 'public', tenant, subscription, group, groupOwner, name, access } = resources
  const [, addressGroup, addressName] = /^(.+)\/(.+)$/.exec(resources['addressedBy'] ?? '') ?? []
  if (subscription === undefined || group === undefined || name === undefined) return undefined
  if (!isCloudName(cloud)) {
    throw new UserError('inventory', `the record names an unknown Azure cloud, ${cloud}`)
  }
  return {
    account: { cloud, subscription, tenant },
    group,
    ownGroup: groupOwner !== 'you',
    isPrivate: access === 'private',
    names: namesOf(name),
    ...(addressGroup !== undefined &&
      addressName !== undefined && { addressedBy: { group: addressGroup, name: addressName } }),
  }
}

/** As {@link readPlace}, for hosts that must have one. */
export function requirePlace(host: HostRecord): Place {
  const place = readPlace(host)
  if (place !== undefined) return place
  throw new UserError('inventory', 'the record does not say where in Azure the host is', {
    hint: 'remove the machine and create it again',
  })
}
