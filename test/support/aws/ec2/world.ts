import type { Moto } from '../moto/moto.ts'
import { type Tree, childOf, itemsOf, tagsOf, textOf } from '../http/xml.ts'

/** A resource that exists. */
interface Resource {
  readonly id: string
  readonly tags: Readonly<Record<string, string>>
}

/** The resources that exist in a region. */
export interface World {
  /** Instances that are not terminated. */
  readonly instances: readonly Resource[]
  /** Security groups, without the default ones. */
  readonly groups: readonly (Resource & { readonly name: string })[]
  readonly keyPairs: readonly (Resource & { readonly name: string })[]
  /** Elastic addresses. */
  readonly addresses: readonly Resource[]
  readonly volumes: readonly Resource[]
}

const resource = (id: string) => (tree: Tree) => ({
  id: textOf(tree, id) ?? '',
  tags: tagsOf(tree),
})

const named = (id: string, name: string) => (tree: Tree) => ({
  ...resource(id)(tree),
  name: textOf(tree, name) ?? '',
})

/** Queries moto directly, without the delays of the server in front of it. */
export async function readWorld(moto: Moto, region: string): Promise<World> {
  const list = async (what: string, set: string) =>
    itemsOf(await moto.ec2(region, { Action: `Describe${what}` }), set)
  const [reservations, groups, keyPairs, addresses, volumes] = await Promise.all([
    list('Instances', 'reservationSet'),
    list('SecurityGroups', 'securityGroupInfo'),
    list('KeyPairs', 'keySet'),
    list('Addresses', 'addressesSet'),
    list('Volumes', 'volumeSet'),
  ])
  return {
    instances: reservations
      .flatMap((reservation) => itemsOf(reservation, 'instancesSet'))
      .filter((tree) => childOf(tree, 'instanceState')?.['name'] !== 'terminated')
      .map(resource('instanceId')),
    groups: groups
      .filter((tree) => tree['groupName'] !== 'default')
      .map(named('groupId', 'groupName')),
    keyPairs: keyPairs.map(named('keyPairId', 'keyName')),
    addresses: addresses.map(resource('allocationId')),
    volumes: volumes.map(resource('volumeId')),
  }
}
