import { DescribeRouteTablesCommand, type RouteTable } from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure } from '../api/errors.ts'
import type { Placement, PlacementRequest } from '../create/placement.ts'

/**
 * Targets of routes to the internet: an internet gateway, or the endpoint or network interface of a
 * firewall in front of it.
 */
const internetTargets = /^(?:igw|vpce|eni)-/

/** Whether a route table has a default route to the internet. */
const hasDefaultRoute = ({ Routes = [] }: RouteTable): boolean =>
  Routes.some(
    ({ DestinationCidrBlock, DestinationIpv6CidrBlock, State, ...target }) =>
      (DestinationCidrBlock === '0.0.0.0/0' || DestinationIpv6CidrBlock === '::/0') &&
      State !== 'blackhole' &&
      [target.GatewayId, target.NetworkInterfaceId].some((id) => internetTargets.test(id ?? '')),
  )

/**
 * Finds the route table of a subnet: the subnet's own table, or the VPC's main table (VPC user guide, "Subnet route
 * tables").
 */
const tableOf = (
  tables: readonly RouteTable[],
  { subnet, vpc }: Placement,
): RouteTable | undefined =>
  tables.find(({ Associations = [] }) =>
    Associations.some(({ SubnetId }) => SubnetId === subnet),
  ) ??
  tables.find(
    ({ VpcId, Associations = [] }) => VpcId === vpc && Associations.some(({ Main }) => Main),
  )

/**
 * Returns the subnets whose public addresses are reachable from the internet; returns all subnets if the login lacks
 * permission to list route tables. Throws kind `usage` if no subnet is reachable.
 */
export async function placementsWithInternet(
  ec2: Ec2,
  { subnet, vpc }: Pick<PlacementRequest, 'subnet' | 'vpc'>,
  placements: readonly Placement[],
): Promise<readonly Placement[]> {
  const vpcs = [...new Set(placements.map((placement) => placement.vpc))]
  const ask = new DescribeRouteTablesCommand({ Filters: [{ Name: 'vpc-id', Values: vpcs }] })
  const { RouteTables: tables = [] } = await ec2.sendCached(ask).catch((error: unknown) => {
    if (!isFailure('UnauthorizedOperation')(error)) throw error
    return { RouteTables: [] }
  })
  const isReached = (placement: Placement): boolean => {
    const table = tableOf(tables, placement)
    return table === undefined || hasDefaultRoute(table)
  }
  const reachable = placements.filter(isReached)
  if (reachable.length > 0) return reachable
  const where =
    subnet === undefined
      ? `no subnet in ${vpc ?? 'the default VPC'} has`
      : `subnet ${subnet} has no`
  throw new UserError(
    'usage',
    `${where}${subnet === undefined ? ' a' : ''} route to an internet gateway, so a host there cannot be reached at its public address`,
    {
      hint: 'choose another subnet with --subnet, or use --private-only and connect over a VPN or a jump host (--via)',
    },
  )
}
