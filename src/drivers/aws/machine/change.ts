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
import { moveOpenings } from '../network/firewall.ts'
import { type Instance, byId, findInstances, isAlive } from '../create/instance.ts'
import type { AwsOptions } from '../options.ts'
import { checkOwnedBy, isOwnedBy } from '../../tagged.ts'
import { filterBy, findParts } from './resources.ts'
import { changedTags, tagsByKey } from '../tags.ts'

/** A host to change, and its options. */
interface Site {
  readonly ec2: Ec2
  readonly instance: Instance
  readonly resources: Readonly<Record<string, string>>
  readonly options: AwsOptions
}

type Notes = Readonly<Record<string, string | undefined>>

const modify = (
  { ec2, instance }: Site,
  attribute: Omit<ModifyInstanceAttributeCommandInput, 'InstanceId'>,
) => ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: instance.id, ...attribute }))

async function changeType(site: Site): Promise<Notes> {
  const { ec2, instance, options } = site
  if (instance.type === options.type) return {}
  ec2.call.progress('instance type', options.type)
  // EC2 reports an instance as stopped shortly before it can be modified.
  await retry(ec2.call, isFailure('IncorrectInstanceState'), () =>
    modify(site, { InstanceType: { Value: options.type } }),
  )
  return {}
}

async function growDisk({ ec2, instance, options: { disk } }: Site): Promise<Notes> {
  const { rootVolume } = instance
  if (rootVolume === undefined) throw new UserError('failed', `${instance.id} has no root volume`)
  const ask = new DescribeVolumesCommand({ VolumeIds: [rootVolume] })
  const { Volumes: [volume] = [] } = await ec2.send(ask)
  const { Size: size = 0 } = volume ?? {}
  if (size > disk) return { disk: String(size) }
  if (size < disk) {
    ec2.call.progress('root disk', `${disk} GiB`)
    await ec2.send(new ModifyVolumeCommand({ VolumeId: rootVolume, Size: disk }))
  }
  await waitUntil(ec2.call, 'root disk', async () => {
    const filter = { Name: 'volume-id', Values: [rootVolume] }
    const asked = new DescribeVolumesModificationsCommand({ Filters: [filter] })
    const { VolumesModifications = [] } = await ec2.send(asked)
    const isUnderWay = VolumesModifications.some(
      ({ ModificationState }) => ModificationState === 'modifying',
    )
    return isUnderWay ? { still: `${rootVolume} is being modified` } : { done: undefined }
  })
  return { disk: String(disk) }
}

/** Changes the tags of all resources of a host. Keys that fleet did not set are kept. */
async function changeTags({ ec2, instance, resources, options }: Site): Promise<Notes> {
  const { tags = '' } = options
  const now = tagsByKey(instance.tags)
  const { set, gone } = changedTags(resources['tags'] ?? '', tags, now)
  const bearers = [
    ...[instance.id, instance.rootVolume, ...instance.interfaces],
    ...[resources['securityGroup'], resources['elasticIp']],
  ].filter((id) => id !== undefined)
  ec2.call.progress('tags')
  const given = Object.entries(set).map(([Key, Value]) => ({ Key, Value }))
  // With a Value, EC2 deletes a key only if it still has the value that fleet set.
  const taken = gone.map((Key) => ({ Key, Value: now[Key] }))
  if (taken.length > 0) {
    await ec2.send(new DeleteTagsCommand({ Resources: bearers, Tags: taken }))
  }
  if (given.length > 0) await ec2.send(new CreateTagsCommand({ Resources: bearers, Tags: given }))
  return { tags: options.tags }
}

/** Changes the rules that fleet recorded in the security group that fleet created. */
async function changeOpenings(site: Site, only: ReadonlySet<string>): Promise<Notes> {
  const { ec2, resources, options } = site
  const { securityGroup } = resources
  if (securityGroup === undefined) {
    throw new UserError('usage', `${site.instance.id} has no security group that fleet made`, {
      hint: 'remove "ports" and "sshCidr" from the entry, and change your own security group in AWS',
    })
  }
  ec2.call.progress('security group')
  const ingressRules = ({ ports, sshCidr }: Notes) => ({
    ports: ports === undefined ? [] : (parsePorts(ports) ?? []),
    sshCidrs: sshCidr === undefined ? [] : (parseCidrs(sshCidr) ?? []),
  })
  const { ports, sshCidr } = resources
  const before = { ports, sshCidr }
  const after = {
    ports: only.has('ports') ? options.ports : ports,
    sshCidr: only.has('sshCidr') ? parseCidrs(options.sshCidr ?? '')?.join(',') : sshCidr,
  }
  await moveOpenings(ec2, securityGroup, ingressRules(before), ingressRules(after))
  return after
}

async function changeCredits({ ec2, instance, options: { cpuCredits } }: Site): Promise<Notes> {
  ec2.call.progress('CPU credits', cpuCredits)
  const { UnsuccessfulInstanceCreditSpecifications: [failed] = [] } = await ec2.send(
    new ModifyInstanceCreditSpecificationCommand({
      InstanceCreditSpecifications: [{ InstanceId: instance.id, CpuCredits: cpuCredits }],
    }),
  )
  if (failed === undefined) return { credits: cpuCredits }
  const { Code = '', Message = 'refused' } = failed.Error ?? {}
  throw new UserError('failed', `CPU credits of ${instance.id}: ${Message} (${Code})`, {
    hint: 'only T types have CPU credits: remove cpuCredits from the entry',
  })
}

async function changeProtection(site: Site): Promise<Notes> {
  const { terminationProtection: Value } = site.options
  site.ec2.call.progress('termination protection', Value ? 'on' : 'off')
  await modify(site, { DisableApiTermination: { Value } })
  return { protection: Value ? 'fleet' : undefined }
}

async function changeShutdown(site: Site): Promise<Notes> {
  const { shutdownBehaviour: Value } = site.options
  await modify(site, { InstanceInitiatedShutdownBehavior: { Value } })
  return { shutdown: Value === 'stop' ? undefined : Value }
}

/**
 * The recorded resources, without a security group and an elastic IP that belong to something else.
 */
async function ownNotes(ec2: Ec2, { token, resources = {} }: HostRecord): Promise<DriverState> {
  const { securityGroup, elasticIp, ...others } = resources
  const named = await findParts(ec2, {
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
): Promise<Notes> {
  const { id, token } = host
  const [instance] = id === undefined ? [] : await findInstances(ec2, byId(id))
  if (instance === undefined || !isAlive(instance)) {
    throw new UserError('failed', `instance ${id} is gone`, { hint: 'fleet plan' })
  }
  checkOwnedBy(token, tagsByKey(instance.tags), `instance ${id}`)
  const touchesOthers = only.has('tags') || only.has('ports') || only.has('sshCidr')
  const resources = touchesOthers ? await ownNotes(ec2, host) : (host.resources ?? {})
  const site = { ec2, instance, resources, options }
  return {
    ...(only.has('type') && (await changeType(site))),
    ...(only.has('disk') && (await growDisk(site))),
    ...(only.has('tags') && (await changeTags(site))),
    ...((only.has('ports') || only.has('sshCidr')) && (await changeOpenings(site, only))),
    ...(only.has('cpuCredits') && (await changeCredits(site))),
    ...(only.has('terminationProtection') && (await changeProtection(site))),
    ...(only.has('shutdownBehaviour') && (await changeShutdown(site))),
  }
}
