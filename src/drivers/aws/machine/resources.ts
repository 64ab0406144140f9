import {
  type Address,
  DescribeAddressesCommand,
  DescribeKeyPairsCommand,
  DescribeSecurityGroupsCommand,
  type Filter,
  type KeyPairInfo,
  type SecurityGroup,
  type Tag,
} from '@aws-sdk/client-ec2'
import type { Ec2, Send } from '../api/ec2-api.ts'
import { type Instance, findInstances } from '../create/instance.ts'
import { tagOf } from '../tags.ts'

/** All that fleet makes for hosts, as far as it exists. */
export interface Parts {
  readonly instances: readonly Instance[]
  readonly groups: readonly SecurityGroup[]
  readonly keyPairs: readonly KeyPairInfo[]
  readonly addresses: readonly Address[]
}

/** A filter by one value; none where it is not known. */
export const filterBy = (name: string, value: string | undefined): Filter | undefined =>
  value === undefined ? undefined : { Name: name, Values: [value] }

/** How EC2 is asked for the things of a kind, and what a filter by one value compares with. */
interface Kind<Part> {
  readonly name: string
  readonly list: (send: Send, filter: Filter) => Promise<readonly Part[] | undefined>
  readonly tags: (part: Part) => readonly Tag[] | undefined
  readonly id: (part: Part) => string | undefined
}

const groupKind: Kind<SecurityGroup> = {
  name: 'groups',
  list: async (send, filter) =>
    (await send(new DescribeSecurityGroupsCommand({ Filters: [filter] }))).SecurityGroups,
  tags: ({ Tags }) => Tags,
  id: ({ GroupId }) => GroupId,
}

const keyPairKind: Kind<KeyPairInfo> = {
  name: 'key pairs',
  list: async (send, filter) =>
    (await send(new DescribeKeyPairsCommand({ Filters: [filter] }))).KeyPairs,
  tags: ({ Tags }) => Tags,
  id: ({ KeyName }) => KeyName,
}

const addressKind: Kind<Address> = {
  name: 'addresses',
  list: async (send, filter) =>
    (await send(new DescribeAddressesCommand({ Filters: [filter] }))).Addresses,
  tags: ({ Tags }) => Tags,
  id: ({ AllocationId }) => AllocationId,
}

/** The things of a kind that a filter of one value matches, asked for together with what other hosts ask. */
async function findKind<Part>(
  ec2: Ec2,
  { name: kind, list, tags, id }: Kind<Part>,
  filter: Filter | undefined,
): Promise<readonly Part[]> {
  const { Name: name = '', Values: [value] = [] } = filter ?? {}
  if (value === undefined) return []
  const found = await ec2.together(`${kind} ${name}`, value, (values, send) =>
    list(send, { Name: name, Values: [...values] }),
  )
  const isTag = name.startsWith('tag:')
  return (found ?? []).filter(
    (part) => (isTag ? tagOf(tags(part), name.slice('tag:'.length)) : id(part)) === value,
  )
}

/** Finds by filters of one value what there is of each kind; a kind without a filter is left out. */
export async function findParts(
  ec2: Ec2,
  filters: Readonly<Record<keyof Parts, Filter | undefined>>,
): Promise<Parts> {
  const [instances = [], groups, keyPairs, addresses] = await Promise.all([
    filters.instances && findInstances(ec2, filters.instances),
    findKind(ec2, groupKind, filters.groups),
    findKind(ec2, keyPairKind, filters.keyPairs),
    findKind(ec2, addressKind, filters.addresses),
  ])
  return { instances, groups, keyPairs, addresses }
}

/** The same filter for every kind. */
export const everyPart = (filter: Filter): Record<keyof Parts, Filter> => ({
  instances: filter,
  groups: filter,
  keyPairs: filter,
  addresses: filter,
})

/** Those with such tags. */
export const filterParts = (
  { instances, groups, keyPairs, addresses }: Parts,
  accepts: (tags: readonly Tag[] | undefined) => boolean,
): Parts => ({
  instances: instances.filter(({ tags }) => accepts(tags)),
  groups: groups.filter(({ Tags }) => accepts(Tags)),
  keyPairs: keyPairs.filter(({ Tags }) => accepts(Tags)),
  addresses: addresses.filter(({ Tags }) => accepts(Tags)),
})

/** What either has, once. */
export function mergeParts(a: Parts, b: Parts): Parts {
  const merge = <Part>(from: (parts: Parts) => readonly Part[], id: (part: Part) => string) => [
    ...new Map([...from(a), ...from(b)].map((part) => [id(part), part])).values(),
  ]
  return {
    instances: merge(
      (parts) => parts.instances,
      ({ id }) => id,
    ),
    groups: merge(
      (parts) => parts.groups,
      ({ GroupId = '' }) => GroupId,
    ),
    keyPairs: merge(
      (parts) => parts.keyPairs,
      ({ KeyName = '' }) => KeyName,
    ),
    addresses: merge(
      (parts) => parts.addresses,
      ({ AllocationId = '' }) => AllocationId,
    ),
  }
}
