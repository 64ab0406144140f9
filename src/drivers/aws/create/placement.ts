import {
  DescribeInstanceTypeOfferingsCommand,
  DescribeSubnetsCommand,
  type Subnet,
} from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import { awsCommand } from '../api/aws-command.ts'
import type { Ec2 } from '../api/ec2-api.ts'

/** A subnet where an instance can run. */
export interface Placement {
  readonly subnet: string
  readonly vpc: string
  readonly zone: string
  /** Whether hosts in the subnet have an IPv4 address (`ipv4`), and can have an IPv6 address (`ipv6`). */
  readonly ipv4: boolean
  readonly ipv6: boolean
}

/** The options that determine the subnet. */
export interface PlacementRequest {
  readonly type: string
  readonly zone?: string | undefined
  readonly vpc?: string | undefined
  readonly subnet?: string | undefined
  readonly privateOnly: boolean
}

function toPlacement(subnet: Subnet): Placement | undefined {
  const { SubnetId, VpcId, AvailabilityZone, Ipv6Native, Ipv6CidrBlockAssociationSet = [] } = subnet
  if (SubnetId === undefined || VpcId === undefined || AvailabilityZone === undefined)
    return undefined
  const ipv6 = Ipv6CidrBlockAssociationSet.some(
    ({ Ipv6CidrBlockState }) => Ipv6CidrBlockState?.State === 'associated',
  )
  return { subnet: SubnetId, vpc: VpcId, zone: AvailabilityZone, ipv4: Ipv6Native !== true, ipv6 }
}

const filters = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([Name, value]) => ({ Name, Values: [value] }))

/** Finds the requested subnet, the subnets of the requested VPC, or the default subnets. */
async function findSubnets(
  ec2: Ec2,
  { vpc, subnet }: PlacementRequest,
): Promise<readonly Subnet[]> {
  if (subnet !== undefined) {
    const { Subnets = [] } = await ec2.sendCached(
      new DescribeSubnetsCommand({ SubnetIds: [subnet] }),
    )
    if (vpc !== undefined && Subnets.some(({ VpcId }) => VpcId !== vpc)) {
      throw new UserError('usage', `subnet ${subnet} is not in ${vpc}`, {
        hint: 'omit --vpc: the subnet determines the VPC',
      })
    }
    return Subnets
  }
  const which = vpc === undefined ? { 'default-for-az': 'true' } : { 'vpc-id': vpc }
  const { Subnets = [] } = await ec2.sendCached(
    new DescribeSubnetsCommand({ Filters: filters(which) }),
  )
  if (Subnets.length > 0) return Subnets
  throw vpc === undefined
    ? new UserError('usage', `there is no default VPC with subnets in ${ec2.region}`, {
        hint: `choose a VPC or subnet with --vpc or --subnet, or create a default VPC: ${awsCommand('ec2 create-default-vpc', ec2)}`,
      })
    : new UserError('usage', `VPC ${vpc} does not exist in ${ec2.region} or has no subnets`, {
        hint: `to list the subnets: ${awsCommand('ec2 describe-subnets', ec2)}`,
      })
}

/** Finds the region's availability zones that offer an instance type. */
async function findZones(ec2: Ec2, type: string): Promise<ReadonlySet<string>> {
  const ask = new DescribeInstanceTypeOfferingsCommand({
    LocationType: 'availability-zone',
    Filters: filters({ 'instance-type': type }),
  })
  const { InstanceTypeOfferings = [] } = await ec2.sendCached(ask)
  return new Set(InstanceTypeOfferings.flatMap(({ Location }) => Location ?? []))
}

/** Sorts public subnets first, and then by zone, so that the order is stable. */
const bySubnetPreference = (a: Subnet, b: Subnet): number =>
  Number(b.MapPublicIpOnLaunch ?? false) - Number(a.MapPublicIpOnLaunch ?? false) ||
  (a.AvailabilityZone ?? '').localeCompare(b.AvailabilityZone ?? '') ||
  (a.SubnetId ?? '').localeCompare(b.SubnetId ?? '')

const zonesOf = (subnets: readonly Subnet[]): string =>
  [...new Set(subnets.flatMap(({ AvailabilityZone }) => AvailabilityZone ?? []))].sort().join(', ')

/**
 * Finds the subnets where the instance can run, best first. If there is none, throws kind `usage` and names the option
 * that rules them out.
 */
export async function findPlacements(
  ec2: Ec2,
  wanted: PlacementRequest,
): Promise<readonly Placement[]> {
  const [subnets, zones] = await Promise.all([
    findSubnets(ec2, wanted),
    findZones(ec2, wanted.type),
  ])
  const inZone = subnets.filter(
    ({ AvailabilityZone }) => wanted.zone === undefined || AvailabilityZone === wanted.zone,
  )
  if (inZone.length === 0) {
    const what =
      wanted.subnet === undefined ? 'there is no subnet' : `subnet ${wanted.subnet} is not`
    throw new UserError('usage', `${what} in zone ${wanted.zone}`, {
      hint: `choose another --zone: ${zonesOf(subnets)}`,
    })
  }
  const offered = inZone.filter(({ AvailabilityZone = '' }) => zones.has(AvailabilityZone))
  if (offered.length === 0) {
    throw new UserError(
      'usage',
      `instance type ${wanted.type} is not available in ${zonesOf(inZone)}`,
      {
        hint:
          zones.size > 0
            ? `this type is available in ${[...zones].sort().join(', ')}`
            : 'choose another --type',
      },
    )
  }
  const withAddresses = offered.filter(
    ({ AvailableIpAddressCount }) => AvailableIpAddressCount !== 0,
  )
  if (withAddresses.length === 0) {
    throw new UserError('failed', 'no suitable subnet has a free address', {
      hint: 'choose another --subnet',
    })
  }
  return (wanted.privateOnly ? withAddresses : withAddresses.toSorted(bySubnetPreference)).flatMap(
    (subnet) => toPlacement(subnet) ?? [],
  )
}
