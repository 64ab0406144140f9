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
import type { Ec2 } from './ec2-api.ts'
import { type Instance, findInstances } from './instance.ts'

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

const where = (filter: Filter) => ({ Filters: [filter] })

/** Finds by filter what there is of each kind; a kind without a filter is left out. */
export async function findParts(
  ec2: Ec2,
  filters: Readonly<Record<keyof Parts, Filter | undefined>>,
): Promise<Parts> {
  const [instances = [], groups, keyPairs, addresses] = await Promise.all([
    filters.instances && findInstances(ec2, filters.instances),
    filters.groups && ec2.send(new DescribeSecurityGroupsCommand(where(filters.groups))),
    filters.keyPairs && ec2.send(new DescribeKeyPairsCommand(where(filters.keyPairs))),
    filters.addresses && ec2.send(new DescribeAddressesCommand(where(filters.addresses))),
  ])
  return {
    instances,
    groups: groups?.SecurityGroups ?? [],
    keyPairs: keyPairs?.KeyPairs ?? [],
    addresses: addresses?.Addresses ?? [],
  }
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
