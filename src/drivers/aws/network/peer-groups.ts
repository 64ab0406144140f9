import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DeleteSecurityGroupCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupsCommand,
  type IpPermission,
  ModifyInstanceAttributeCommand,
  type SecurityGroup,
} from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import type { HostRecord } from '../../../machine/machine.ts'
import type { MachineName } from '../../../machine/name.ts'
import { ignored } from '../../../os/trace.ts'
import type { Call, DriverState } from '../../driver.ts'
import type { PeerGroup, PeerState } from '../../net/peer-access.ts'
import { type PortRange, nameOfRange } from '../../net/ports.ts'
import { checkOwnedBy } from '../../ownership.ts'
import type { Ec2, Ec2Api } from '../api/ec2-api.ts'
import { awsCommand } from '../api/aws-command.ts'
import { isFailure } from '../api/errors.ts'
import { retry, waitUntil } from '../api/retry.ts'
import { type Instance, byId, findInstances, isAlive } from '../create/instance.ts'
import { findMany, groupHosts } from '../machine/observe.ts'
import { tagAll, tagOf, tagsByKey } from '../tags.ts'

const isUserError = (error: unknown): boolean => error instanceof UserError

/** Key of the tag that contains the name of the swarm that a security group is for. */
const swarmTag = 'fleet:swarm'

const step = 'open ports between members'

/** Errors for groups that do not exist, or are not visible yet. */
const isGone = isFailure('InvalidGroup.NotFound', 'InvalidSecurityGroupID.NotFound')

/** Errors for groups that a network interface still uses. */
const isInUse = isFailure('DependencyViolation', 'InvalidGroup.InUse')

/**
 * Maximum time, in milliseconds, that a group remains in use after its last network interface has left it or its last
 * instance has been terminated.
 */
const maxHeld = 180_000

/** Whether a security group is for the members of a swarm. */
export const isPeerGroup = ({ Tags }: SecurityGroup): boolean => tagOf(Tags, swarmTag) !== undefined

/** Returns the name of the swarm that a security group is for. */
export const swarmOf = ({ Tags }: SecurityGroup): string => tagOf(Tags, swarmTag) ?? ''

/** Finds the security groups of a swarm, one for each VPC. Requests for several hosts are combined. */
async function findGroups(ec2: Ec2, { fleet, name }: PeerGroup): Promise<readonly SecurityGroup[]> {
  const Filters = [
    { Name: 'tag:fleet:id', Values: [fleet] },
    { Name: `tag:${swarmTag}`, Values: [name] },
  ]
  const found = await ec2.batch(`groups of ${fleet} ${name}`, name, (_names, send) =>
    send(new DescribeSecurityGroupsCommand({ Filters })),
  )
  return found.SecurityGroups ?? []
}

/** Finds the security group of a swarm in a VPC, or creates it. Several users can do this at the same time. */
async function ensureGroup(ec2: Ec2, group: PeerGroup, vpc: string): Promise<SecurityGroup> {
  const find = async () => (await findGroups(ec2, group)).find(({ VpcId }) => VpcId === vpc)
  const found = await find()
  if (found !== undefined) return found
  const GroupName = `fleet-swarm-${group.name}-${group.fleet}`
  const create = new CreateSecurityGroupCommand({
    GroupName,
    Description: `fleet swarm ${group.name}`,
    VpcId: vpc,
    TagSpecifications: tagAll({ ...group.tags, Name: GroupName }, 'security-group'),
  })
  try {
    const { GroupId = '' } = await ec2.send(create)
    return { GroupId }
  } catch (error) {
    if (!isFailure('InvalidGroup.Duplicate')(error)) throw error
  }
  const findAgain = async (): Promise<SecurityGroup> => {
    const now = await find()
    if (now !== undefined) return now
    throw new UserError(
      'failed',
      `security group ${GroupName} exists in ${vpc} but does not have fleet's tags`,
      {
        hint: `delete the security group, or add the tags fleet:id=${group.fleet} and ${swarmTag}=${group.name}`,
      },
    )
  }
  return retry(ec2.call, isUserError, findAgain, 20_000)
}

/** Returns the rule for a port range. The rule's source is the group itself. */
const ruleFor = (GroupId: string, { from, to, protocol }: PortRange): IpPermission => ({
  ...{ FromPort: from, ToPort: to, IpProtocol: protocol },
  UserIdGroupPairs: [{ GroupId }],
})

/** Returns the port ranges that a group does not yet open to its own members. */
const missingPorts = (
  { GroupId, IpPermissions = [] }: SecurityGroup,
  ports: readonly PortRange[],
): readonly PortRange[] =>
  ports.filter(
    ({ from, to, protocol }) =>
      !IpPermissions.some(
        ({ FromPort, ToPort, IpProtocol, UserIdGroupPairs = [] }) =>
          FromPort === from &&
          ToPort === to &&
          IpProtocol === protocol &&
          UserIdGroupPairs.some((pair) => pair.GroupId === GroupId),
      ),
  )

/**
 * Adds rules. EC2 rejects the whole request if any of the rules already exists; the rules are then added one by one.
 */
async function addRules(ec2: Ec2, id: string, ports: readonly PortRange[]): Promise<void> {
  if (ports.length === 0) return
  const IpPermissions = ports.map((range) => ruleFor(id, range))
  await ec2
    .send(new AuthorizeSecurityGroupIngressCommand({ GroupId: id, IpPermissions }))
    .catch(async (error: unknown) => {
      if (!isFailure('InvalidPermission.Duplicate')(error)) throw error
      if (ports.length > 1) for (const range of ports) await addRules(ec2, id, [range])
    })
}

/**
 * Sets the security groups of an instance's network interface, and waits until the change is
 * visible. EC2 rejects the request for an instance with several interfaces (API reference,
 * ModifyInstanceAttribute).
 */
async function setGroups(ec2: Ec2, instance: Instance, groups: readonly string[]): Promise<void> {
  const { id, interfaces } = instance
  if (interfaces.length > 1) {
    const missing = groups.find((group) => !instance.groups.includes(group))
    const what =
      missing === undefined
        ? 'remove from the security group'
        : `add to the security group ${missing}`
    throw new UserError(
      'failed',
      `instance ${id} has several network interfaces, and fleet cannot determine which one to ${what}`,
      {
        hint: `change the security groups yourself, for example: ${awsCommand(`ec2 modify-network-interface-attribute --network-interface-id ${interfaces[0]} --groups ${groups.join(' ')}`, ec2)}`,
      },
    )
  }
  await ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: id, Groups: [...groups] }))
  await waitUntil(ec2.call, step, async () => {
    const [now] = await findInstances(ec2, byId(id))
    const isDone = now === undefined || [...now.groups].sort().join() === [...groups].sort().join()
    return isDone
      ? { done: undefined }
      : { pending: `${id} does not have the new security groups yet` }
  })
}

/** Finds the instance that fleet created for a host; returns `undefined` if it no longer exists. */
async function findOwnInstance(ec2: Ec2, { id, token }: HostRecord): Promise<Instance | undefined> {
  const [instance] = id === undefined ? [] : await findInstances(ec2, byId(id))
  if (instance === undefined || !isAlive(instance)) return undefined
  checkOwnedBy(token, tagsByKey(instance.tags), `instance ${instance.id}`)
  return instance
}

/** See `PeerAccess.open`. */
export async function joinPeerGroup(
  ec2: Ec2,
  host: HostRecord,
  group: PeerGroup,
  record: (resources: DriverState) => Promise<void>,
): Promise<void> {
  ec2.call.progress(step)
  let recorded = host.resources?.['peerGroup']
  const join = async (): Promise<void> => {
    const instance = await findOwnInstance(ec2, host)
    if (instance?.vpc === undefined) {
      throw new UserError('failed', 'the instance does not exist', {
        hint: 'to see the changes that fleet would make: fleet plan',
      })
    }
    const found = await ensureGroup(ec2, group, instance.vpc)
    const { GroupId: id = '' } = found
    if (recorded !== id) await record({ peerGroup: id })
    recorded = id
    await addRules(ec2, id, missingPorts(found, group.ports))
    if (!instance.groups.includes(id)) await setGroups(ec2, instance, [...instance.groups, id])
  }
  // A new group is not visible everywhere immediately, and another user can delete a group that has no members.
  await retry(ec2.call, isGone, join)
}

/**
 * Returns the IDs of the instances, other than `except`, whose network interfaces are in a group; `?` stands for an
 * interface without an instance.
 */
async function usersOf(ec2: Ec2, id: string, except: string | undefined): Promise<string[]> {
  const Filters = [{ Name: 'group-id', Values: [id] }]
  const { NetworkInterfaces = [] } = await ec2.send(
    new DescribeNetworkInterfacesCommand({ Filters }),
  )
  const users = NetworkInterfaces.map(({ Attachment }) => Attachment?.InstanceId ?? '?')
  const others = users.filter((user) => user !== except)
  // Interfaces are listed for a while after their instance has been terminated.
  const living = await Promise.all(
    others.map(async (user) => {
      if (user === '?') return [user]
      const [instance] = await findInstances(ec2, byId(user))
      return instance !== undefined && isAlive(instance) ? [user] : []
    }),
  )
  return living.flat()
}

/** Deletes the security group of a swarm, unless instances other than `except` use it. */
export async function removeUnusedGroup(ec2: Ec2, id: string, except?: string): Promise<void> {
  await retry(
    ec2.call,
    isInUse,
    async () => {
      if ((await usersOf(ec2, id, except)).length > 0) return
      await ec2
        .send(new DeleteSecurityGroupCommand({ GroupId: id }))
        .catch((error: unknown) => (isGone(error) ? undefined : Promise.reject(error as Error)))
    },
    maxHeld,
  )
}

/** See `PeerAccess.close`. */
export async function leavePeerGroup(
  ec2: Ec2,
  host: HostRecord,
  group: PeerGroup,
): Promise<Readonly<Record<string, string | undefined>>> {
  ec2.call.progress('close ports between members')
  const [instance, groups] = await Promise.all([findOwnInstance(ec2, host), findGroups(ec2, group)])
  const ids = new Set(groups.flatMap(({ GroupId }) => GroupId ?? []))
  if (instance?.groups.some((id) => ids.has(id))) {
    const rest = instance.groups.filter((id) => !ids.has(id))
    await setGroups(ec2, instance, rest)
  }
  const own = groups.filter(
    ({ GroupId, VpcId }) => VpcId === instance?.vpc || GroupId === host.resources?.['peerGroup'],
  )
  for (const { GroupId = '' } of own) await removeUnusedGroup(ec2, GroupId, host.id)
  return { peerGroup: undefined }
}

/** Returns whether an instance is in the swarm's security group, and what is missing for it to reach its peers. */
function stateOf(
  { vpc = '', groups }: Instance,
  found: readonly SecurityGroup[],
  ports: readonly PortRange[],
): PeerState {
  const group = found.find(({ VpcId }) => VpcId === vpc)
  const { GroupId: id = '' } = group ?? {}
  if (group === undefined) {
    const missing = `${vpc} has no security group for the swarm`
    return { network: vpc, isMember: false, missing }
  }
  if (!groups.includes(id)) {
    return {
      network: vpc,
      isMember: false,
      missing: `the instance is not in the security group ${id}`,
    }
  }
  const lacking = missingPorts(group, ports).map(nameOfRange)
  if (lacking.length === 0) return { network: vpc, isMember: true }
  const missing = `the security group ${id} does not open ${lacking.join(', ')}`
  return { network: vpc, isMember: true, missing }
}

/** See `PeerAccess.observe`. Sends two requests for each region and profile. */
export async function observePeerGroup(
  api: Ec2Api,
  hosts: ReadonlyMap<MachineName, HostRecord>,
  group: PeerGroup,
  call: Call,
): Promise<ReadonlyMap<MachineName, PeerState>> {
  const own = new Map([...hosts].filter(([, { token }]) => token !== undefined))
  const states = await Promise.all(
    [...groupHosts(own)].map(async ({ account, hosts: byInstance }) => {
      const ec2 = api.at(account, call)
      const [instances, groups] = await Promise.all([
        findMany(ec2, [...byInstance.keys()]),
        findGroups(ec2, group),
      ])
      return instances.flatMap((instance): [MachineName, PeerState][] => {
        const name = byInstance.get(instance.id)?.name
        if (name === undefined || !isAlive(instance)) return []
        return [[name, stateOf(instance, groups, group.ports)]]
      })
    }),
  )
  return new Map(states.flat())
}

/** Finds the security groups with these IDs that are for swarms of the inventory `fleet`. */
export async function peerGroupsAmong(
  ec2: Ec2,
  ids: readonly string[],
  fleet: string | undefined,
): Promise<readonly SecurityGroup[]> {
  const found = await Promise.all(
    ids.map((id) =>
      ec2.batch('groups group-id', id, (values, send) =>
        send(
          new DescribeSecurityGroupsCommand({
            Filters: [{ Name: 'group-id', Values: [...values] }],
          }),
        ).then(({ SecurityGroups }) => SecurityGroups),
      ),
    ),
  )
  const all = new Map(found.flatMap((groups = []) => groups.map((one) => [one.GroupId, one])))
  return ids.flatMap((id) => {
    const group = all.get(id)
    if (group === undefined || !isPeerGroup(group)) return []
    return fleet !== undefined && tagOf(group.Tags, 'fleet:id') === fleet ? [group] : []
  })
}

/** Returns the security groups that have no members. A group that cannot be checked is assumed to be in use. */
export async function withoutMembers(
  ec2: Ec2,
  groups: readonly SecurityGroup[],
): Promise<readonly SecurityGroup[]> {
  const unused = await Promise.all(
    groups.map(async (group) => {
      const users = await usersOf(ec2, group.GroupId ?? '', undefined).catch(
        ignored('aws', "find the security group's members", ['?']),
      )
      return users.length === 0 ? [group] : []
    }),
  )
  return unused.flat()
}
