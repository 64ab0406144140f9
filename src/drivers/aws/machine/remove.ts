import {
  DeleteKeyPairCommand,
  DeleteSecurityGroupCommand,
  DisassociateAddressCommand,
  ModifyInstanceAttributeCommand,
  ReleaseAddressCommand,
  type SecurityGroup,
  type Tag,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { UserError, messageOf } from '../../../errors.ts'
import type { HostRecord } from '../../../machine/machine.ts'
import type { DriverState } from '../../driver.ts'
import { retry, waitUntil } from '../api/retry.ts'
import type { Ec2, Send } from '../api/ec2-api.ts'
import { awsCommand } from '../api/aws-command.ts'
import { explainError, isFailure } from '../api/errors.ts'
import { type Instance, byId, findInstances, isAlive } from '../create/instance.ts'
import { peerGroupsAmong, removeUnusedGroup } from '../network/peer-groups.ts'
import { foreignHint, isOwnedBy } from '../../ownership.ts'
import {
  type HostResources,
  filterAllBy,
  filterBy,
  filterResources,
  findResources,
  mergeHostResources,
} from './resources.ts'
import { byToken, tagOf, tagsByKey } from '../tags.ts'
import { shellQuote } from '../../../os/shell-quote.ts'

/** Returns filters for the resources that a record names. The user's own key pairs and groups are never recorded. */
const recorded = ({ id }: HostRecord, resources: DriverState) => ({
  instances: id === undefined ? undefined : byId(id),
  groups: filterBy('group-id', resources['securityGroup']),
  keyPairs: filterBy('key-name', resources['keyPair']),
  addresses: filterBy('allocation-id', resources['elasticIp']),
})

/** A host's resources (`own`), and resources that its record names but that belong to something else (`foreign`). */
interface Found {
  readonly own: HostResources
  readonly foreign: HostResources
}

/** Finds the swarm security groups that a host is in. Such a group is deleted together with its last member. */
async function findPeerGroups(
  ec2: Ec2,
  { instances, groups, keyPairs }: HostResources,
  { peerGroup }: DriverState,
): Promise<readonly SecurityGroup[]> {
  const own = new Set(groups.map(({ GroupId }) => GroupId))
  const named = [...instances.flatMap((one) => one.groups), ...(peerGroup ? [peerGroup] : [])]
  const others = [...new Set(named)].filter((id) => !own.has(id))
  // Anyone who can edit the inventory can name any group, so only groups of the same inventory count.
  const tags = [
    ...instances.map((one) => one.tags),
    ...[...groups, ...keyPairs].map((one) => one.Tags),
  ]
  const fleet = tags.map((of) => tagOf(of, 'fleet:id')).find((id) => id !== undefined)
  return peerGroupsAmong(ec2, others, fleet)
}

/** Finds a host's resources. Tags determine which resources are its own, because the record can name any resource. */
async function findResourcesOnce(
  ec2: Ec2,
  host: HostRecord,
  resources: DriverState,
): Promise<Found> {
  const { token = '' } = host
  const [named, tagged] = await Promise.all([
    findResources(ec2, recorded(host, resources)),
    findResources(ec2, filterAllBy(byToken(token))),
  ])
  const isOwn = (tags: readonly Tag[] | undefined): boolean => isOwnedBy(token, tagsByKey(tags))
  return {
    own: mergeHostResources(filterResources(named, isOwn), filterResources(tagged, isOwn)),
    foreign: filterResources(named, (tags) => !isOwn(tags)),
  }
}

/** Maximum time that EC2 takes to show a new resource everywhere (usually one or two seconds), in milliseconds. */
const maxLag = 5_000

/**
 * Finds all resources of a host. If its instance is not visible, keeps searching for as long as EC2 may take to show
 * it: the creation may have been interrupted a moment ago, before the response arrived.
 */
async function findAllResources(
  ec2: Ec2,
  host: HostRecord,
  resources: DriverState,
): Promise<Found> {
  const isHostInstance = ({ id }: Instance) => host.id === undefined || id === host.id
  const notVisible = new Error('the instance is not visible')
  let found = await findResourcesOnce(ec2, host, resources)
  const isVisible = ({ own, foreign }: Found): boolean =>
    [...own.instances, ...foreign.instances].some(isHostInstance)
  if (isVisible(found)) return found
  ec2.call.progress('check that no instance exists')
  const searchAgain = async (): Promise<void> => {
    const now = await findResourcesOnce(ec2, host, resources)
    found = { own: mergeHostResources(found.own, now.own), foreign: now.foreign }
    if (!isVisible(found)) throw notVisible
  }
  const isNotVisible = (error: unknown) => error === notVisible
  await retry(ec2.call, isNotVisible, searchAgain, maxLag).catch((error: unknown) => {
    if (!isNotVisible(error)) throw error
  })
  return found
}

const allow =
  (...codes: readonly string[]) =>
  (error: unknown) => {
    if (!isFailure(...codes)(error)) throw error
  }

/**
 * Terminates instances, in one request if possible. EC2 rejects the request for all of them if one is protected or
 * unknown; they are then terminated one by one. Returns the errors, keyed by instance ID.
 */
async function terminateAll(ids: readonly string[], send: Send): Promise<Map<string, unknown>> {
  try {
    await send(new TerminateInstancesCommand({ InstanceIds: [...ids] }))
    return new Map()
  } catch (error) {
    const [id = '', ...others] = ids
    if (others.length === 0) return new Map([[id, error]])
    const errors = await Promise.all(ids.map((one) => terminateAll([one], send)))
    return new Map(errors.flatMap((failed) => [...failed]))
  }
}

async function terminate(ec2: Ec2, { id }: Instance, resources: DriverState): Promise<void> {
  const ask = async (): Promise<void> => {
    const failed = await ec2.batch('terminate', id, terminateAll)
    if (failed.has(id)) throw failed.get(id)
  }
  try {
    await ask()
  } catch (error) {
    if (isFailure('InvalidInstanceID.NotFound')(error)) return
    if (!isFailure('OperationNotPermitted')(error)) throw error
    if (resources['protection'] !== 'fleet') {
      throw new UserError('failed', 'termination protection was enabled outside of fleet', {
        hint: `disable termination protection: ${awsCommand(`ec2 modify-instance-attribute --instance-id ${shellQuote(id)} --no-disable-api-termination`, ec2)}`,
        cause: error,
      })
    }
    await ec2.send(
      new ModifyInstanceAttributeCommand({
        InstanceId: id,
        DisableApiTermination: { Value: false },
      }),
    )
    await ask()
  }
}

async function terminateAndWait(
  ec2: Ec2,
  instance: Instance,
  resources: DriverState,
): Promise<void> {
  if (isAlive(instance)) await terminate(ec2, instance, resources)
  await waitUntil(ec2.call, 'terminate the instance', async () => {
    const [now] = await findInstances(ec2, byId(instance.id))
    if (now === undefined || now.state === 'terminated') return { done: undefined }
    return { pending: `${instance.id} is ${now.state}` }
  })
}

/**
 * Releases an address. Its association is looked up each time, because EC2 disassociates addresses
 * of terminated instances some time later.
 */
async function release(ec2: Ec2, AllocationId: string): Promise<void> {
  const addresses = filterBy('allocation-id', AllocationId)
  const nothing = { instances: undefined, groups: undefined, keyPairs: undefined }
  await retry(ec2.call, isFailure('InvalidIPAddress.InUse'), async () => {
    const [now] = (await findResources(ec2, { ...nothing, addresses })).addresses
    const { AssociationId } = now ?? {}
    if (AssociationId !== undefined && AssociationId !== '') {
      await ec2
        .send(new DisassociateAddressCommand({ AssociationId }))
        .catch(allow('InvalidAssociationID.NotFound'))
    }
    await ec2
      .send(new ReleaseAddressCommand({ AllocationId }))
      .catch(allow('InvalidAllocationID.NotFound'))
  })
}

/** A security group remains in use for a while after its instance is terminated. */
const deleteGroup = (ec2: Ec2, id: string) =>
  retry(
    ec2.call,
    isFailure('DependencyViolation', 'InvalidGroup.InUse'),
    () =>
      ec2
        .send(new DeleteSecurityGroupCommand({ GroupId: id }))
        .catch(allow('InvalidGroup.NotFound')),
    180_000,
  )

/** A resource that could not be deleted, and the error. */
interface Leftover {
  readonly what: string
  readonly why: unknown
}

const each = <Part>(parts: readonly Part[], remove: (part: Part) => Promise<void>) =>
  Promise.all(parts.map(remove))

/** Describes existing resources that a record names but that belong to something else. */
const describeForeign = ({
  instances,
  groups,
  keyPairs,
  addresses,
}: HostResources): readonly string[] => [
  ...instances.filter(isAlive).map(({ id }) => `instance ${id}`),
  ...groups.map(({ GroupId }) => `security group ${GroupId}`),
  ...keyPairs.map(({ KeyName }) => `key pair ${KeyName}`),
  ...addresses.map(({ AllocationId }) => `Elastic IP ${AllocationId}`),
]

/** Throws if the record names resources that belong to something else. Those were not changed. */
function checkForeign(foreign: HostResources, region: string): void {
  const what = describeForeign(foreign)
  if (what.length === 0) return
  throw new UserError(
    'failed',
    `these resources in ${region} were not deleted because they lack this machine's tags: ${what.join(', ')}`,
    { hint: foreignHint },
  )
}

/**
 * Deletes everything that was created for a host. Throws, after deleting everything else, an error
 * that names what could not be deleted.
 */
export async function removeHost(
  ec2: Ec2,
  host: HostRecord,
  resources: DriverState,
): Promise<void> {
  const { own, foreign } = await findAllResources(ec2, host, resources)
  const { instances, groups, keyPairs, addresses } = own
  const peerGroups = await findPeerGroups(ec2, own, resources)
  const leftovers: Leftover[] = []
  const attempt = async (what: string, work: Promise<unknown>): Promise<void> => {
    await work.catch((why: unknown) => {
      ec2.call.signal.throwIfAborted()
      leftovers.push({ what, why: explainError(why, ec2) })
    })
  }
  await each(instances, (instance) =>
    attempt(`instance ${instance.id}`, terminateAndWait(ec2, instance, resources)),
  )
  // The other resources are in use while an instance exists.
  if (leftovers.length > 0) throw leftoverError(leftovers, ec2.region)
  // Delete the peer groups first: the tags of the host's other resources show that they belong to the same inventory.
  await each(peerGroups, ({ GroupId = '' }) =>
    attempt(`security group ${GroupId}`, removeUnusedGroup(ec2, GroupId, host.id)),
  )
  if (groups.length > 0) ec2.call.progress('delete the security group')
  await Promise.all([
    each(keyPairs, ({ KeyName }) =>
      attempt(`key pair ${KeyName}`, ec2.send(new DeleteKeyPairCommand({ KeyName }))),
    ),
    each(addresses, ({ AllocationId = '', PublicIp }) =>
      attempt(`Elastic IP ${PublicIp} (${AllocationId})`, release(ec2, AllocationId)),
    ),
    each(groups, ({ GroupId = '' }) =>
      attempt(`security group ${GroupId}`, deleteGroup(ec2, GroupId)),
    ),
  ])
  if (leftovers.length > 0) throw leftoverError(leftovers, ec2.region)
  checkForeign(foreign, ec2.region)
}

function leftoverError(leftovers: readonly Leftover[], region: string): unknown {
  const bug = leftovers.find(({ why }) => !(why instanceof UserError))
  if (bug !== undefined) return bug.why
  const [first] = leftovers
  const { kind = 'failed', hint } = first?.why instanceof UserError ? first.why : {}
  const descriptions = leftovers.map(({ what, why }) => `${what}: ${messageOf(why)}`)
  return new UserError(
    kind,
    `could not delete some resources in ${region}: ${descriptions.join('; ')}`,
    {
      hint,
      cause: first?.why,
    },
  )
}
