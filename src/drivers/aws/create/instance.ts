import {
  type DescribeInstancesCommandInput,
  DescribeInstancesCommand,
  type Filter,
  type Instance as Ec2Instance,
  type InstanceStateName,
  type Tag,
} from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import type { HostStatus } from '../../../machine/machine.ts'
import type { DriverState } from '../../driver.ts'
import { waitUntil } from '../api/retry.ts'
import type { Ec2, Send } from '../api/ec2-api.ts'
import { tagOf } from '../tags.ts'

/** An instance as EC2 reported it. */
export interface Instance {
  readonly id: string
  readonly state: InstanceStateName
  /** Reason for the state, if EC2 reports one. */
  readonly reason: string | undefined
  /** Code of the reason, such as `Server.SpotInstanceTermination`. */
  readonly reasonCode: string | undefined
  readonly publicAddress: string | undefined
  readonly privateAddress: string | undefined
  readonly type: string | undefined
  readonly vpc: string | undefined
  readonly zone: string | undefined
  readonly subnet: string | undefined
  /** IDs of the security groups of the instance's primary network interface. */
  readonly groups: readonly string[]
  /** IDs of the instance's network interfaces, in order of device index. */
  readonly interfaces: readonly string[]
  readonly rootVolume: string | undefined
  /** ARN of the instance profile. */
  readonly profile: string | undefined
  readonly tags: readonly Tag[]
  /** Client token of the RunInstances request. */
  readonly clientToken: string | undefined
}

const readInstance = (instance: Ec2Instance): Instance => ({
  id: instance.InstanceId ?? '',
  state: instance.State?.Name ?? 'pending',
  reason: instance.StateReason?.Message || undefined,
  reasonCode: instance.StateReason?.Code || undefined,
  publicAddress: instance.PublicIpAddress || instance.Ipv6Address || undefined,
  privateAddress: instance.PrivateIpAddress || instance.Ipv6Address || undefined,
  type: instance.InstanceType,
  vpc: instance.VpcId,
  zone: instance.Placement?.AvailabilityZone,
  subnet: instance.SubnetId,
  groups: (instance.SecurityGroups ?? []).flatMap(({ GroupId }) => GroupId ?? []),
  interfaces: (instance.NetworkInterfaces ?? [])
    .toSorted((a, b) => (a.Attachment?.DeviceIndex ?? 0) - (b.Attachment?.DeviceIndex ?? 0))
    .flatMap(({ NetworkInterfaceId }) => NetworkInterfaceId ?? []),
  rootVolume: instance.BlockDeviceMappings?.find(
    ({ DeviceName }) => DeviceName === instance.RootDeviceName,
  )?.Ebs?.VolumeId,
  profile: instance.IamInstanceProfile?.Arn,
  tags: instance.Tags ?? [],
  clientToken: instance.ClientToken,
})

export const byId = (...ids: readonly string[]): Filter => ({
  Name: 'instance-id',
  Values: [...ids],
})

/** Returns the property of an instance that the filter `name` compares. */
function valueOf({ id, tags, clientToken }: Instance, name: string): string | undefined {
  if (name === 'instance-id') return id
  if (name === 'client-token') return clientToken
  return tagOf(tags, name.slice('tag:'.length))
}

async function listInstances(send: Send, filter: Filter): Promise<readonly Instance[]> {
  const found: Instance[] = []
  const input: DescribeInstancesCommandInput = { Filters: [filter], MaxResults: 1000 }
  do {
    const { Reservations = [], NextToken } = await send(new DescribeInstancesCommand(input))
    found.push(...Reservations.flatMap(({ Instances = [] }) => Instances.map(readInstance)))
    input.NextToken = NextToken || undefined
  } while (input.NextToken !== undefined)
  return found
}

/**
 * Lists the instances that match a filter, from all pages. Unlike in a request by ID, a missing instance is not an
 * error. A filter with a single ID, tag or client token is combined with other hosts' filters in one request.
 */
export async function findInstances(ec2: Ec2, filter: Filter): Promise<readonly Instance[]> {
  const { Name: name = '', Values: [value, ...more] = [] } = filter
  const canBatch = name.startsWith('tag:') || name === 'instance-id' || name === 'client-token'
  if (value === undefined || more.length > 0 || !canBatch) return listInstances(ec2.send, filter)
  const found = await ec2.batch(`instances ${name}`, value, (values, send) =>
    listInstances(send, { Name: name, Values: [...values] }),
  )
  return found.filter((instance) => valueOf(instance, name) === value)
}

/** Whether an instance exists and is not being terminated. */
export const isAlive = ({ state }: Instance): boolean =>
  state !== 'shutting-down' && state !== 'terminated'

const states: Readonly<Record<InstanceStateName, HostStatus['state']>> = {
  pending: 'starting',
  running: 'running',
  stopping: 'stopping',
  stopped: 'stopped',
  'shutting-down': 'absent',
  terminated: 'absent',
}

/** Returns the address that fleet connects to: the private address if the host was created without a public address. */
export const addressOf = (instance: Instance, access: string | undefined): string | undefined =>
  access === 'private' ? instance.privateAddress : instance.publicAddress

/** Returns the driver options that can be read from an instance. */
function optionsOf({
  type,
  zone,
  subnet,
  vpc,
  groups,
  profile,
  tags,
}: Instance): NonNullable<HostStatus['options']> {
  const held = {
    ...{ type, zone, subnet, vpc, groups: groups.join(',') || undefined },
    instanceProfile: profile,
    tags: JSON.stringify(Object.fromEntries(tags.map(({ Key = '', Value }) => [Key, Value]))),
  }
  return Object.fromEntries(
    Object.entries(held).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
}

/**
 * Whether EC2 interrupted a spot instance, as opposed to a shutdown by a user or by the system
 * itself (EC2 API reference, StateReason). EC2 stops listing an instance about an hour
 * after its termination, so a missing instance counts as interrupted.
 */
const wasReclaimed = (instance: Instance | undefined, market: string | undefined): boolean =>
  market === 'spot' && instance?.reasonCode?.startsWith('Client.') !== true

/** Returns the status of a host with these recorded resources. */
export function statusOf(
  instance: Instance | undefined,
  { access, market }: DriverState,
): HostStatus {
  const state = instance === undefined ? 'absent' : states[instance.state]
  if (instance === undefined || state === 'absent') {
    return { state: 'absent', ...(wasReclaimed(instance, market) && { reclaimed: true }) }
  }
  const address = addressOf(instance, access)
  return { state, ...(address !== undefined && { address }), options: optionsOf(instance) }
}

/** Waits until an instance has reached a state. Throws kind `failed` with EC2's reason if it is terminated. */
export async function waitForState(
  ec2: Ec2,
  id: string,
  wanted: InstanceStateName,
  isComplete: (instance: Instance) => boolean = () => true,
): Promise<Instance> {
  return waitUntil(ec2.call, 'start the instance', async () => {
    const [instance] = await findInstances(ec2, byId(id))
    if (instance === undefined) return { pending: `${id} is not visible yet` }
    if (instance.state === wanted) {
      return isComplete(instance) ? { done: instance } : { pending: `${id} has no address yet` }
    }
    if (!isAlive(instance)) {
      const why = instance.reason === undefined ? '' : `: ${instance.reason}`
      throw new UserError('failed', `instance ${id} is ${instance.state}${why}`, {
        hint: 'run the command again to create a new instance',
      })
    }
    return { pending: `${id} is ${instance.state}` }
  })
}
