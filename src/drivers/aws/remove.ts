import {
  DeleteKeyPairCommand,
  DeleteSecurityGroupCommand,
  DescribeAddressesCommand,
  DisassociateAddressCommand,
  type Filter,
  ModifyInstanceAttributeCommand,
  ReleaseAddressCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { UserError, messageOf } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import type { Resources } from '../driver.ts'
import { retry, waitUntil } from './back-off.ts'
import type { Ec2 } from './ec2-api.ts'
import { explain, isFailure } from './failures.ts'
import { type Instance, byId, findInstances, isAlive } from './instance.ts'
import { type Parts, everyPart, findParts, mergeParts } from './parts.ts'
import { ofToken } from './tags.ts'

const filter = (name: string, value: string | undefined): Filter | undefined =>
  value === undefined ? undefined : { Name: name, Values: [value] }

/** What the record names, tagged or not. Key pairs and groups of the person's own are never recorded. */
const recorded = ({ id }: HostRecord, resources: Resources) => ({
  instances: id === undefined ? undefined : byId(id),
  groups: filter('group-id', resources['securityGroup']),
  keyPairs: filter('key-name', resources['keyPair']),
  addresses: filter('allocation-id', resources['elasticIp']),
})

/** All there is of a host. */
async function look(ec2: Ec2, host: HostRecord, resources: Resources): Promise<Parts> {
  const [named, tagged] = await Promise.all([
    findParts(ec2, recorded(host, resources)),
    findParts(ec2, everyPart(ofToken(host.token ?? ''))),
  ])
  return mergeParts(named, tagged)
}

/** How long EC2 may take to show everywhere what it has just made (usually a second or two), in milliseconds. */
const shownWithin = 5_000

/**
 * All there is of a host. Where its instance is not to be seen, it and the rest are looked for until EC2 would show them: a creation
 * may have been cut short a moment ago, with something asked for and nothing known of the answer.
 */
async function findAll(ec2: Ec2, host: HostRecord, resources: Resources): Promise<Parts> {
  const isSeen = ({ id }: Instance) => host.id === undefined || id === host.id
  const unseen = new Error('the instance is not seen')
  let found = await look(ec2, host, resources)
  if (found.instances.some(isSeen)) return found
  ec2.call.progress('instance', 'making sure that there is none')
  const lookAgain = async (): Promise<void> => {
    found = mergeParts(found, await look(ec2, host, resources))
    if (!found.instances.some(isSeen)) throw unseen
  }
  const isUnseen = (error: unknown) => error === unseen
  await retry(ec2.call, isUnseen, lookAgain, shownWithin).catch((error: unknown) => {
    if (!isUnseen(error)) throw error
  })
  return found
}

const allow =
  (...codes: readonly string[]) =>
  (error: unknown) => {
    if (!isFailure(...codes)(error)) throw error
  }

async function terminate(ec2: Ec2, { id }: Instance, resources: Resources): Promise<void> {
  const ask = () => ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  try {
    await ask()
  } catch (error) {
    if (isFailure('InvalidInstanceID.NotFound')(error)) return
    if (!isFailure('OperationNotPermitted')(error)) throw error
    if (resources['protection'] !== 'fleet') {
      throw new UserError('failed', 'it has termination protection that fleet did not set', {
        hint: `lift it: aws ec2 modify-instance-attribute --instance-id ${id} --no-disable-api-termination`,
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

async function terminateAndWait(ec2: Ec2, instance: Instance, resources: Resources): Promise<void> {
  if (isAlive(instance)) await terminate(ec2, instance, resources)
  await waitUntil(ec2.call, 'instance terminated', async () => {
    const [now] = await findInstances(ec2, byId(instance.id))
    if (now === undefined || now.state === 'terminated') return { done: undefined }
    return { still: `${instance.id} is ${now.state}` }
  })
}

/** Asks anew what it is associated with: EC2 takes an address from an instance that is terminated, sooner or later. */
async function release(ec2: Ec2, AllocationId: string): Promise<void> {
  const ask = new DescribeAddressesCommand({
    Filters: [{ Name: 'allocation-id', Values: [AllocationId] }],
  })
  await retry(ec2.call, isFailure('InvalidIPAddress.InUse'), async () => {
    const AssociationId = (await ec2.send(ask)).Addresses?.[0]?.AssociationId
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

/** A group is in use for a while after its instance is gone. */
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

/** One thing that could not be removed, and why. */
interface Leftover {
  readonly what: string
  readonly why: unknown
}

const each = <Part>(parts: readonly Part[], remove: (part: Part) => Promise<void>) =>
  Promise.all(parts.map(remove))

/** Removes all that was made for a host. Throws, once all else is removed, naming what could not be. */
export async function removeHost(ec2: Ec2, host: HostRecord, resources: Resources): Promise<void> {
  const { instances, groups, keyPairs, addresses } = await findAll(ec2, host, resources)
  const leftovers: Leftover[] = []
  const attempt = async (what: string, work: Promise<unknown>): Promise<void> => {
    await work.catch((why: unknown) => {
      ec2.call.signal.throwIfAborted()
      leftovers.push({ what, why: explain(why, ec2) })
    })
  }
  await each(instances, (instance) =>
    attempt(`instance ${instance.id}`, terminateAndWait(ec2, instance, resources)),
  )
  // An instance that stays needs the rest, and EC2 would not give it up.
  if (leftovers.length > 0) throw tellLeft(leftovers, ec2.region)
  if (groups.length > 0) ec2.call.progress('security group')
  await Promise.all([
    each(keyPairs, ({ KeyName }) =>
      attempt(`key pair ${KeyName}`, ec2.send(new DeleteKeyPairCommand({ KeyName }))),
    ),
    each(addresses, ({ AllocationId = '', PublicIp }) =>
      attempt(`elastic IP ${PublicIp} (${AllocationId})`, release(ec2, AllocationId)),
    ),
    each(groups, ({ GroupId = '' }) =>
      attempt(`security group ${GroupId}`, deleteGroup(ec2, GroupId)),
    ),
  ])
  if (leftovers.length > 0) throw tellLeft(leftovers, ec2.region)
}

function tellLeft(leftovers: readonly Leftover[], region: string): unknown {
  const bug = leftovers.find(({ why }) => !(why instanceof UserError))
  if (bug !== undefined) return bug.why
  const [first] = leftovers
  const { kind = 'failed', hint } = first?.why instanceof UserError ? first.why : {}
  const told = leftovers.map(({ what, why }) => `${what}: ${messageOf(why)}`)
  return new UserError(kind, `left in ${region}: ${told.join('; ')}`, { hint, cause: first?.why })
}
