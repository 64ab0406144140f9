import type { HostRecord, HostStatus } from '../../../machine/machine.ts'
import type { MachineName } from '../../../machine/name.ts'
import type { Call, DriverState } from '../../driver.ts'
import { type Account, type Ec2, type Ec2Api, readAccount } from '../api/ec2-api.ts'
import { explainError } from '../api/errors.ts'
import { type Instance, byId, findInstances, statusOf } from '../create/instance.ts'

/** Maximum number of values in a filter. */
const maxIds = 200

/** Filter for all instances that fleet launched, for any inventory. */
const ofFleet = { Name: 'tag-key', Values: ['fleet:token'] }

/** Hosts in one account and region, keyed by instance ID. */
export interface RegionHosts {
  readonly account: Account
  readonly hosts: Map<string, { readonly name: MachineName; readonly resources: DriverState }>
}

/** Groups hosts by account and region, leaving out hosts without an instance. */
export function groupHosts(hosts: ReadonlyMap<MachineName, HostRecord>): Iterable<RegionHosts> {
  const groups = new Map<string, RegionHosts>()
  for (const [name, { id, resources = {} }] of hosts) {
    const account = readAccount(resources)
    if (id === undefined || account === undefined) continue
    const key = `${account.region} ${account.profile}`
    const group = groups.get(key) ?? { account, hosts: new Map() }
    group.hosts.set(id, { name, resources })
    groups.set(key, group)
  }
  return groups.values()
}

function* inChunks<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}

/**
 * Finds the instances with these IDs. Many IDs are looked up with one query for all instances that
 * fleet launched; only the missing ones (launched by other programs, or long gone) are queried by
 * ID.
 */
export async function findMany(ec2: Ec2, ids: readonly string[]): Promise<readonly Instance[]> {
  const launched = ids.length > maxIds ? await findInstances(ec2, ofFleet) : []
  const known = new Set(launched.map(({ id }) => id))
  const rest = inChunks(
    ids.filter((id) => !known.has(id)),
    maxIds,
  )
  const found = await Promise.all([...rest].map((chunk) => findInstances(ec2, byId(...chunk))))
  return [...launched, ...found.flat()]
}

async function observeRegion(
  api: Ec2Api,
  { account, hosts }: RegionHosts,
  call: Call,
): Promise<[MachineName, HostStatus][]> {
  const ec2 = api.at(account, call)
  const found = await findMany(ec2, [...hosts.keys()]).catch((error: unknown) => {
    throw explainError(error, account)
  })
  const instances = new Map(found.map((instance) => [instance.id, instance]))
  return [...hosts].map(([id, { name, resources }]) => [
    name,
    statusOf(instances.get(id), resources),
  ])
}

/**
 * Queries many hosts with one DescribeInstances request per region and profile, and up to 1000 instances per page. A
 * host whose record has no instance is reported as `unknown`.
 */
export async function observeHosts(
  api: Ec2Api,
  hosts: ReadonlyMap<MachineName, HostRecord>,
  call: Call,
): Promise<ReadonlyMap<MachineName, HostStatus>> {
  const groups = [...groupHosts(hosts)]
  const seen = new Map(
    (await Promise.all(groups.map((group) => observeRegion(api, group, call)))).flat(),
  )
  return new Map([...hosts.keys()].map((name) => [name, seen.get(name) ?? { state: 'unknown' }]))
}
