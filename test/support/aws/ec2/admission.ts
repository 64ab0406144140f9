import type { Account, Ec2Call } from './account.ts'
import { Ec2Error } from '../http/ec2-error.ts'
import { images } from './images.ts'
import type { Instance } from './instance.ts'
import { type Parameters, listParameter } from '../http/query.ts'
import { type Tree, childOf, itemsOf, textOf } from '../http/xml.ts'

/** An admitted launch. */
export interface Admission {
  /**
   * The call's parameters, completed with what AWS adds: the subnet, the root disk's size, and whether the disk is
   * deleted.
   */
  readonly parameters: Parameters
  readonly zone: string
  readonly type: string
  readonly groups: readonly string[]
  readonly isSpot: boolean
}

interface InstanceType {
  readonly architectures: readonly string[]
  readonly vcpus: number
}

async function findType({ moto }: Account, region: string, name: string): Promise<InstanceType> {
  const answer = await moto
    .ec2(region, { Action: 'DescribeInstanceTypes', 'InstanceType.1': name })
    .catch(() => undefined)
  const type = itemsOf(answer, 'instanceTypeSet')[0]
  if (!type)
    throw new Ec2Error('InvalidParameterValue', `Invalid value '${name}' for InstanceType.`)
  const listed = childOf(childOf(type, 'processorInfo'), 'supportedArchitectures')?.['item']
  const architectures = Array.isArray(listed) ? listed.map(String) : []
  const vcpus = Number(textOf(childOf(type, 'vCpuInfo'), 'defaultVCpus') ?? 0)
  return { architectures, vcpus }
}

async function checkImage(
  { moto, settings }: Account,
  region: string,
  id: string | undefined,
  { architectures }: InstanceType,
): Promise<void> {
  if (!id) throw new Ec2Error('MissingParameter', 'The request must contain the parameter ImageId')
  const answer = await moto.ec2(region, { Action: 'DescribeImages', 'ImageId.1': id })
  const architecture = textOf(itemsOf(answer, 'imagesSet')[0], 'architecture') ?? ''
  if (settings().architectures && !architectures.includes(architecture))
    throw new Ec2Error(
      'InvalidParameterValue',
      `The architecture '${architectures.join(',')}' of the specified instance type does not match the architecture '${architecture}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.`,
    )
}

/** Returns the security groups of a launch, which are set directly or on its network interface. */
const groupsOf = (parameters: Parameters) => [
  ...listParameter(parameters, 'SecurityGroupId'),
  ...listParameter(parameters, 'NetworkInterface.1.SecurityGroupId'),
]

/** Returns whether a zone or instance type has no capacity. */
const lacksCapacity = (entries: readonly string[], zone: string, type: string): boolean =>
  ['all', zone, type, `${zone}/${type}`].some((entry) => entries.includes(entry))

/** Rejects a launch if there is no capacity for it. */
export function checkCapacity(account: Account, zone: string, type: string, isSpot: boolean): void {
  const { noCapacity, noSpotCapacity } = account.settings()
  if (lacksCapacity(noCapacity, zone, type))
    throw new Ec2Error(
      'InsufficientInstanceCapacity',
      `We currently do not have sufficient ${type} capacity in the Availability Zone you requested (${zone}). Our system will be working on provisioning additional capacity.`,
    )
  if (isSpot && lacksCapacity(noSpotCapacity, zone, type))
    throw new Ec2Error(
      'InsufficientInstanceCapacity',
      'There is no Spot capacity available that matches your request.',
    )
}

/** Resolves to the subnet of a launch: the given one, or the default subnet of its zone. */
async function findSubnet(account: Account, { region, parameters }: Ec2Call, type: string) {
  const named = parameters['SubnetId'] ?? parameters['NetworkInterface.1.SubnetId']
  const zone = parameters['Placement.AvailabilityZone']
  const answer = await account.moto.ec2(region, {
    Action: 'DescribeSubnets',
    ...(named !== undefined && { 'SubnetId.1': named }),
  })
  const subnets = itemsOf(answer, 'subnetSet')
  if (named !== undefined) {
    const its = textOf(subnets[0], 'availabilityZone')
    if (zone !== undefined && zone !== its)
      throw new Ec2Error(
        'InvalidParameterValue',
        `Value (${zone}) for parameter availabilityZone is invalid. Subnet '${named}' is in the availability zone ${its}`,
      )
    return subnets[0]
  }
  const defaults = subnets.filter((subnet) => textOf(subnet, 'defaultForAz') === 'true')
  if (defaults.length === 0)
    throw new Ec2Error(
      'VPCIdNotSpecified',
      'No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.',
    )
  if (zone !== undefined) {
    const found = defaults.find((subnet) => textOf(subnet, 'availabilityZone') === zone)
    if (!found) throw new Ec2Error('InvalidParameterValue', `Invalid availability zone: [${zone}]`)
    return found
  }
  const { noCapacity } = account.settings()
  const hasRoom = (subnet: Tree) =>
    !lacksCapacity(noCapacity, textOf(subnet, 'availabilityZone') ?? '', type)
  return defaults.find(hasRoom) ?? defaults[0]
}

async function checkGroups(
  { moto }: Account,
  region: string,
  groups: readonly string[],
  subnet: Tree | undefined,
): Promise<void> {
  if (groups.length === 0) return
  const ids = Object.fromEntries(groups.map((id, index) => [`GroupId.${index + 1}`, id]))
  const answer = await moto.ec2(region, { Action: 'DescribeSecurityGroups', ...ids })
  for (const group of itemsOf(answer, 'securityGroupInfo'))
    if (textOf(group, 'vpcId') !== textOf(subnet, 'vpcId'))
      throw new Ec2Error(
        'InvalidParameter',
        `Security group ${textOf(group, 'groupId')} and subnet ${textOf(subnet, 'subnetId')} belong to different networks.`,
      )
}

const isAlive = ({ state }: Instance) => state !== 'terminated' && state !== 'shutting-down'

async function checkQuotas(
  account: Account,
  region: string,
  { vcpus }: InstanceType,
  parameters: Parameters,
): Promise<void> {
  const { instanceLimit, vcpuLimit, spotLimit, spotPrice } = account.settings()
  const alive = [...account.instances.values()].filter(
    (instance) => instance.plan.region === region && isAlive(instance),
  )
  if (alive.length >= instanceLimit)
    throw new Ec2Error(
      'InstanceLimitExceeded',
      `You have requested more instances (${alive.length + 1}) than your current instance limit of ${instanceLimit} allows for the specified instance type.`,
    )
  const used = vcpus * alive.length // accurate enough: a test uses a single instance type
  if (used + vcpus > vcpuLimit)
    throw new Ec2Error(
      'VcpuLimitExceeded',
      `You have requested more vCPU capacity than your current vCPU limit of ${vcpuLimit} allows for the instance bucket that the specified instance type belongs to.`,
    )
  if (parameters['InstanceMarketOptions.MarketType'] !== 'spot') return
  if (alive.filter(({ plan }) => plan.isSpot).length >= spotLimit)
    throw new Ec2Error('MaxSpotInstanceCountExceeded', 'Max spot instance count exceeded')
  const price = parameters['InstanceMarketOptions.SpotOptions.MaxPrice']
  if (price !== undefined && Number(price) < spotPrice)
    throw new Ec2Error(
      'SpotMaxPriceTooLow',
      `Your Spot request price of ${price} is lower than the minimum required Spot request fulfillment price of ${spotPrice}.`,
    )
}

/** Adds the root disk of the image, unless the launch sets one. */
function completeRootDisk(parameters: Parameters): Parameters {
  const image = images.find(({ id }) => id === parameters['ImageId'])
  const rootDevice = image?.rootDevice ?? '/dev/sda1'
  const numbers = Object.entries(parameters).flatMap(([name, value]) => {
    const number = /^BlockDeviceMapping\.(\d+)\.DeviceName$/.exec(name)?.[1]
    return number !== undefined && value === rootDevice ? [Number(number)] : []
  })
  const others = Object.keys(parameters).filter((name) => /^BlockDeviceMapping\.\d+\.D/.test(name))
  const prefix = `BlockDeviceMapping.${numbers[0] ?? others.length + 1}`
  return {
    [`${prefix}.DeviceName`]: rootDevice,
    [`${prefix}.Ebs.VolumeSize`]: String(image?.rootSize ?? 8),
    [`${prefix}.Ebs.VolumeType`]: 'gp2',
    [`${prefix}.Ebs.DeleteOnTermination`]: 'true',
    ...parameters,
  }
}

/** Adds the subnet to the network settings of a launch. */
function completeSubnet(parameters: Parameters, subnet: Tree | undefined): Parameters {
  const hasInterface = Object.keys(parameters).some((name) => name.startsWith('NetworkInterface.'))
  const place = hasInterface ? 'NetworkInterface.1.SubnetId' : 'SubnetId'
  return { [place]: textOf(subnet, 'subnetId') ?? '', ...parameters }
}

/** Checks a RunInstances call as AWS does and moto does not. Throws an {@link Ec2Error} if it is rejected. */
export async function admitLaunch(account: Account, call: Ec2Call): Promise<Admission> {
  const { region, parameters } = call
  const { userDataLimit } = account.settings()
  const type = parameters['InstanceType'] ?? 'm1.small'
  const userData = Buffer.from(parameters['UserData'] ?? '', 'base64')
  if (userData.length > userDataLimit)
    throw new Ec2Error('InvalidParameterValue', `User data is limited to ${userDataLimit} bytes`)
  if (parameters['CreditSpecification.CpuCredits'] !== undefined && !/^t\d/.test(type))
    throw new Ec2Error(
      'InvalidParameterCombination',
      'The parameter CreditSpecification is only supported for burstable performance instances.',
    )
  const found = await findType(account, region, type)
  await checkImage(account, region, parameters['ImageId'], found)
  const key = parameters['KeyName']
  if (key !== undefined && !account.publicKeys.has(`${region}/${key}`))
    await account.moto.ec2(region, { Action: 'DescribeKeyPairs', 'KeyName.1': key }).catch(() => {
      throw new Ec2Error('InvalidKeyPair.NotFound', `The key pair '${key}' does not exist`)
    })
  const subnet = await findSubnet(account, call, type)
  const groups = groupsOf(parameters)
  await checkGroups(account, region, groups, subnet)
  if (parameters['DryRun'] === 'true') throw new Ec2Error('DryRunOperation')
  const zone = textOf(subnet, 'availabilityZone') ?? ''
  const isSpot = parameters['InstanceMarketOptions.MarketType'] === 'spot'
  await checkQuotas(account, region, found, parameters)
  checkCapacity(account, zone, type, isSpot)
  const completed = completeSubnet(completeRootDisk(parameters), subnet)
  return { parameters: completed, zone, type, groups, isSpot }
}
