import {
  CreateTagsCommand,
  DeleteTagsCommand,
  DescribeVolumesCommand,
  DescribeVolumesModificationsCommand,
  ModifyInstanceAttributeCommand,
  type ModifyInstanceAttributeCommandInput,
  ModifyInstanceCreditSpecificationCommand,
  ModifyVolumeCommand,
  type Tag,
} from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import type { HostRecord } from '../../../machine/machine.ts'
import { parseCidrs } from '../../net/cidrs.ts'
import { parsePorts } from '../../net/ports.ts'
import type { DriverState } from '../../driver.ts'
import type { UpdateRequest } from '../../update.ts'
import { retry, waitUntil } from '../api/retry.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure } from '../api/errors.ts'
import { updateIngressRules } from '../network/security-groups.ts'
import { recordedReach } from '../create/reach-option.ts'
import { type Instance, byId, findInstances, isAlive } from '../create/instance.ts'
import type { AwsOptions } from '../options.ts'
import { checkOwnedBy, isOwnedBy } from '../../ownership.ts'
import { filterBy, findResources } from './resources.ts'
import { changedTags, tagsByKey } from '../tags.ts'

/** A host to change, and its options. */
interface ChangeContext {
  readonly ec2: Ec2
  readonly instance: Instance
  readonly resources: Readonly<Record<string, string>>
  readonly options: AwsOptions
}

type ChangedResources = Readonly<Record<string, string | undefined>>

const modify = (
  { ec2, instance }: ChangeContext,
  attribute: Omit<ModifyInstanceAttributeCommandInput, 'InstanceId'>,
) => ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: instance.id, ...attribute }))

async function changeType(context: ChangeContext): Promise<ChangedResources> {
  const { ec2, instance, options } = context
  if (instance.type === options.type) return {}
  ec2.call.progress('change the instance type', options.type)
  // EC2 reports an instance as stopped shortly before it can be modified.
  await retry(ec2.call, isFailure('IncorrectInstanceState'), () =>
    modify(context, { InstanceType: { Value: options.type } }),
  )
  return {}
}

async function growDisk({
  ec2,
  instance,
  options: { disk },
}: ChangeContext): Promise<ChangedResources> {
  const { rootVolume } = instance
  if (rootVolume === undefined)
    throw new UserError('failed', `instance ${instance.id} has no root volume`)
  const ask = new DescribeVolumesCommand({ VolumeIds: [rootVolume] })
  const { Volumes: [volume] = [] } = await ec2.send(ask)
  const { Size: size = 0 } = volume ?? {}
  if (size > disk) return { disk: String(size) }
  if (size < disk) {
    ec2.call.progress('grow the root disk', `${disk} GiB`)
    await ec2.send(new ModifyVolumeCommand({ VolumeId: rootVolume, Size: disk }))
  }
  await waitUntil(ec2.call, 'grow the root disk', async () => {
    const filter = { Name: 'volume-id', Values: [rootVolume] }
    const asked = new DescribeVolumesModificationsCommand({ Filters: [filter] })
    const { VolumesModifications = [] } = await ec2.send(asked)
    const isInProgress = VolumesModifications.some(
      ({ ModificationState }) => ModificationState === 'modifying',
    )
    return isInProgress ? { pending: `${rootVolume} is being modified` } : { done: undefined }
  })
  return { disk: String(disk) }
}

/** Changes the tags of all of a host's resources. Tags with keys that fleet did not set are kept. */
async function changeTags({
  ec2,
  instance,
  resources,
  options,
}: ChangeContext): Promise<ChangedResources> {
  const { tags = '' } = options
  const now = tagsByKey(instance.tags)
  const { set, removed } = changedTags(resources['tags'] ?? '', tags, now)
  const taggedIds = [
    ...[instance.id, instance.rootVolume, ...instance.interfaces],
    ...[resources['securityGroup'], resources['elasticIp']],
  ].filter((id) => id !== undefined)
  ec2.call.progress('update the tags')
  const addedTags = Object.entries(set).map(([Key, Value]) => ({ Key, Value }))
  // Given a Value, EC2 deletes a tag only if the tag still has this value, which fleet set.
  const removedTags = removed.map((Key) => ({ Key, Value: now[Key] }))
  if (removedTags.length > 0) {
    await ec2.send(new DeleteTagsCommand({ Resources: taggedIds, Tags: removedTags }))
  }
  if (addedTags.length > 0)
    await ec2.send(new CreateTagsCommand({ Resources: taggedIds, Tags: addedTags }))
  return { tags: options.tags }
}

/** Changes the recorded ingress rules in the security group that fleet created for the host. */
async function changeIngressRules(
  context: ChangeContext,
  only: ReadonlySet<string>,
): Promise<ChangedResources> {
  const { ec2, resources, options } = context
  const { securityGroup } = resources
  if (securityGroup === undefined) {
    throw new UserError(
      'usage',
      `instance ${context.instance.id} has no security group that fleet created`,
      {
        hint: 'remove "ports" and "sshCidr" from the inventory, and edit the rules of your own security group in AWS',
      },
    )
  }
  ec2.call.progress('update the security group')
  const ingressRules = ({ ports, sshCidr }: ChangedResources) => ({
    ports: ports === undefined ? [] : (parsePorts(ports) ?? []),
    sshCidrs: sshCidr === undefined ? [] : (parseCidrs(sshCidr) ?? []),
  })
  const { ports, sshCidr } = resources
  const before = { ports, sshCidr }
  const after = {
    ports: only.has('ports') ? options.ports : ports,
    sshCidr: only.has('sshCidr') ? parseCidrs(options.sshCidr ?? '')?.join(',') : sshCidr,
  }
  await updateIngressRules(ec2, securityGroup, ingressRules(before), ingressRules(after))
  return after
}

async function changeCredits({
  ec2,
  instance,
  options: { cpuCredits },
}: ChangeContext): Promise<ChangedResources> {
  ec2.call.progress('change the CPU credits', cpuCredits)
  const { UnsuccessfulInstanceCreditSpecifications: [failed] = [] } = await ec2.send(
    new ModifyInstanceCreditSpecificationCommand({
      InstanceCreditSpecifications: [{ InstanceId: instance.id, CpuCredits: cpuCredits }],
    }),
  )
  if (failed === undefined) return { credits: cpuCredits }
  const { Code = 'no error code', Message = 'EC2 did not give a reason' } = failed.Error ?? {}
  throw new UserError(
    'failed',
    `cannot change the CPU credits for instance ${instance.id}: ${Message} (${Code})`,
    {
      hint: 'only burstable instance types (T2, T3, T3a, T4g) have CPU credits; for other types, remove "cpuCredits" from the inventory',
    },
  )
}

async function changeProtection(context: ChangeContext): Promise<ChangedResources> {
  const { terminationProtection: Value } = context.options
  context.ec2.call.progress(`${Value ? 'enable' : 'disable'} termination protection`)
  await modify(context, { DisableApiTermination: { Value } })
  return { protection: Value ? 'fleet' : undefined }
}

async function changeShutdown(context: ChangeContext): Promise<ChangedResources> {
  const { shutdownBehaviour: Value } = context.options
  await modify(context, { InstanceInitiatedShutdownBehavior: { Value } })
  return { shutdown: Value === 'stop' ? undefined : Value }
}

/** Returns the recorded resources, except any security group or Elastic IP that belongs to something else. */
async function ownResources(ec2: Ec2, { token, resources = {} }: HostRecord): Promise<DriverState> {
  const { securityGroup, elasticIp, ...others } = resources
  const named = await findResources(ec2, {
    instances: undefined,
    keyPairs: undefined,
    groups: filterBy('group-id', securityGroup),
    addresses: filterBy('allocation-id', elasticIp),
  })
  const isOwn = (tags: readonly Tag[] | undefined): boolean => isOwnedBy(token, tagsByKey(tags))
  return {
    ...others,
    ...(securityGroup !== undefined &&
      named.groups.some(({ Tags }) => isOwn(Tags)) && { securityGroup }),
    ...(elasticIp !== undefined &&
      named.addresses.some(({ Tags }) => isOwn(Tags)) && { elasticIp }),
  }
}

/** See `Update.change`. */
export async function changeHost(
  ec2: Ec2,
  host: HostRecord,
  { options, only }: UpdateRequest<AwsOptions>,
): Promise<ChangedResources> {
  const { id, token } = host
  const [instance] = id === undefined ? [] : await findInstances(ec2, byId(id))
  if (instance === undefined || !isAlive(instance)) {
    const which = id === undefined ? 'the instance' : `instance ${id}`
    throw new UserError('failed', `${which} no longer exists`, {
      hint: 'to see the changes that fleet would make: fleet plan',
    })
  }
  checkOwnedBy(token, tagsByKey(instance.tags), `instance ${id}`)
  const changesOthers = only.has('tags') || only.has('ports') || only.has('sshCidr')
  const resources = changesOthers ? await ownResources(ec2, host) : (host.resources ?? {})
  const context = { ec2, instance, resources, options }
  return {
    ...(only.has('type') && (await changeType(context))),
    ...(only.has('disk') && (await growDisk(context))),
    ...(only.has('tags') && (await changeTags(context))),
    ...((only.has('ports') || only.has('sshCidr')) && (await changeIngressRules(context, only))),
    ...(only.has('cpuCredits') && (await changeCredits(context))),
    ...(only.has('terminationProtection') && (await changeProtection(context))),
    ...(only.has('reach') && { reach: recordedReach(options) }),
    ...(only.has('shutdownBehaviour') && (await changeShutdown(context))),
  }
}
