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

/** The resources that fleet creates for hosts. */
export interface HostResources {
  readonly instances: readonly Instance[]
  readonly groups: readonly SecurityGroup[]
  readonly keyPairs: readonly KeyPairInfo[]
  readonly addresses: readonly Address[]
}

/** Returns a filter with one value; `undefined` if there is no value. */
export const filterBy = (name: string, value: string | undefined): Filter | undefined =>
  value === undefined ? undefined : { Name: name, Values: [value] }

/** How to list resources of one type, and how to read the properties that a filter compares. */
interface ResourceType<Part> {
  readonly name: string
  readonly list: (send: Send, filter: Filter) => Promise<readonly Part[] | undefined>
  readonly tags: (part: Part) => readonly Tag[] | undefined
  readonly id: (part: Part) => string | undefined
}

const groupKind: ResourceType<SecurityGroup> = {
  name: 'groups',
  list: async (send, filter) =>
    (await send(new DescribeSecurityGroupsCommand({ Filters: [filter] }))).SecurityGroups,
  tags: ({ Tags }) => Tags,
  id: ({ GroupId }) => GroupId,
}

const keyPairKind: ResourceType<KeyPairInfo> = {
  name: 'key pairs',
  list: async (send, filter) =>
    (await send(new DescribeKeyPairsCommand({ Filters: [filter] }))).KeyPairs,
  tags: ({ Tags }) => Tags,
  id: ({ KeyName }) => KeyName,
}

const addressKind: ResourceType<Address> = {
  name: 'addresses',
  list: async (send, filter) =>
    (await send(new DescribeAddressesCommand({ Filters: [filter] }))).Addresses,
  tags: ({ Tags }) => Tags,
  id: ({ AllocationId }) => AllocationId,
}

/** Finds the resources of one type that match a filter with one value. Requests for several hosts are combined. */
async function findByType<Part>(
  ec2: Ec2,
  { name: kind, list, tags, id }: ResourceType<Part>,
  filter: Filter | undefined,
): Promise<readonly Part[]> {
  const { Name: name = '', Values: [value] = [] } = filter ?? {}
  if (value === undefined) return []
  const found = await ec2.batch(`${kind} ${name}`, value, (values, send) =>
    list(send, { Name: name, Values: [...values] }),
  )
  const isTag = name.startsWith('tag:')
  return (found ?? []).filter(
    (part) => (isTag ? tagOf(tags(part), name.slice('tag:'.length)) : id(part)) === value,
  )
}

/** Finds resources by filters with one value each. Types without a filter are skipped. */
export async function findResources(
  ec2: Ec2,
  filters: Readonly<Record<keyof HostResources, Filter | undefined>>,
): Promise<HostResources> {
  const [instances = [], groups, keyPairs, addresses] = await Promise.all([
    filters.instances && findInstances(ec2, filters.instances),
    findByType(ec2, groupKind, filters.groups),
    findByType(ec2, keyPairKind, filters.keyPairs),
    findByType(ec2, addressKind, filters.addresses),
  ])
  return { instances, groups, keyPairs, addresses }
}

/** Returns the same filter for every resource type. */
export const filterAllBy = (filter: Filter): Record<keyof HostResources, Filter> => ({
  instances: filter,
  groups: filter,
  keyPairs: filter,
  addresses: filter,
})

/** Returns the resources whose tags match. */
export const filterResources = (
  { instances, groups, keyPairs, addresses }: HostResources,
  accepts: (tags: readonly Tag[] | undefined) => boolean,
): HostResources => ({
  instances: instances.filter(({ tags }) => accepts(tags)),
  groups: groups.filter(({ Tags }) => accepts(Tags)),
  keyPairs: keyPairs.filter(({ Tags }) => accepts(Tags)),
  addresses: addresses.filter(({ Tags }) => accepts(Tags)),
})

/** Returns the union of two sets of resources. */
export function mergeHostResources(a: HostResources, b: HostResources): HostResources {
  const merge = <Part>(
    from: (parts: HostResources) => readonly Part[],
    id: (part: Part) => string,
  ) => [...new Map([...from(a), ...from(b)].map((part) => [id(part), part])).values()]
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
