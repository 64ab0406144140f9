import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeSecurityGroupsCommand,
  type IpPermission,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroup,
} from '@aws-sdk/client-ec2'
import { SocketAddress, isIPv6 } from 'node:net'
import { UserError } from '../../errors.ts'
import { retry } from './back-off.ts'
import type { Ec2 } from './ec2-api.ts'
import { isFailure } from './failures.ts'
import type { PortRange } from '../ports.ts'
import { ofToken, tagAll } from './tags.ts'
import { shellQuote } from '../../shell-quote.ts'

/** What the group of one host lets in. */
export interface Openings {
  readonly sshCidrs: readonly string[]
  readonly ports: readonly PortRange[]
}

/** One opening for one range of addresses, so that two lists of them can be compared. */
interface Rule extends PortRange {
  readonly cidr: string
}

const everybody = ['0.0.0.0/0', '::/0']

const rulesFor = ({ sshCidrs, ports }: Openings): readonly Rule[] => [
  ...sshCidrs.map((cidr): Rule => ({ from: 22, to: 22, protocol: 'tcp', cidr })),
  ...ports.flatMap((range) => everybody.map((cidr) => ({ ...range, cidr }))),
]

const permissionOf = ({ from, to, protocol, cidr }: Rule): IpPermission => ({
  FromPort: from,
  ToPort: to,
  IpProtocol: protocol,
  ...(isIPv6(cidr.split('/')[0] ?? '')
    ? { Ipv6Ranges: [{ CidrIpv6: cidr }] }
    : { IpRanges: [{ CidrIp: cidr }] }),
})

/** Whether a group has a rule already. EC2 writes IPv6 ranges in its own way: where that differs it says so itself. */
const hasRule = ({ IpPermissions = [] }: SecurityGroup, rule: Rule): boolean =>
  IpPermissions.some(
    ({ FromPort, ToPort, IpProtocol, IpRanges = [], Ipv6Ranges = [] }) =>
      FromPort === rule.from &&
      ToPort === rule.to &&
      IpProtocol === rule.protocol &&
      (IpRanges.some(({ CidrIp }) => CidrIp === rule.cidr) ||
        Ipv6Ranges.some(({ CidrIpv6 }) => CidrIpv6 === rule.cidr)),
  )

/** Opens what is not open yet. */
async function open(ec2: Ec2, group: SecurityGroup, openings: Openings): Promise<void> {
  const missing = rulesFor(openings).filter((rule) => !hasRule(group, rule))
  if (missing.length === 0) return
  const ask = new AuthorizeSecurityGroupIngressCommand({
    GroupId: group.GroupId,
    IpPermissions: missing.map(permissionOf),
  })
  await retry(ec2.call, isFailure('InvalidGroup.NotFound'), () => ec2.send(ask)).catch(
    (error: unknown) => {
      if (!isFailure('InvalidPermission.Duplicate')(error)) throw error
    },
  )
}

/** Closes rules of a group that it is known to have. */
async function close(ec2: Ec2, id: string, rules: readonly Rule[]): Promise<void> {
  if (rules.length === 0) return
  const IpPermissions = rules.map(permissionOf)
  await ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId: id, IpPermissions }))
}

/** A single address as EC2 writes it; nothing for a range, which EC2 may write in another way than people do. */
function singleAddress(cidr: string): string | undefined {
  const [address = '', length] = cidr.split('/')
  if (length !== (isIPv6(address) ? '128' : '32')) return undefined
  const { address: plain } = new SocketAddress({
    address,
    family: isIPv6(address) ? 'ipv6' : 'ipv4',
  })
  return plain
}

/** The single addresses that may reach SSH, where an earlier attempt was made from, and that are not wanted now. */
function leftByEarlier({ IpPermissions = [] }: SecurityGroup, { sshCidrs }: Openings): Rule[] {
  const wanted = new Set(sshCidrs.map(singleAddress))
  return IpPermissions.filter(
    ({ FromPort, ToPort, IpProtocol }) => FromPort === 22 && ToPort === 22 && IpProtocol === 'tcp',
  )
    .flatMap(({ IpRanges = [], Ipv6Ranges = [] }) => [
      ...IpRanges.map(({ CidrIp = '' }) => CidrIp),
      ...Ipv6Ranges.map(({ CidrIpv6 = '' }) => CidrIpv6),
    ])
    .filter((cidr) => singleAddress(cidr) !== undefined && !wanted.has(singleAddress(cidr)))
    .map((cidr) => ({ from: 22, to: 22, protocol: 'tcp', cidr }))
}

const sameRule = (a: Rule, b: Rule): boolean =>
  a.from === b.from && a.to === b.to && a.protocol === b.protocol && a.cidr === b.cidr

/** Opens what `after` has, and closes what `before` had and `after` has not; rules that are in neither stay. */
export async function moveOpenings(
  ec2: Ec2,
  id: string,
  before: Openings,
  after: Openings,
): Promise<void> {
  const ask = new DescribeSecurityGroupsCommand({ GroupIds: [id] })
  const { SecurityGroups: [group = { GroupId: id }] = [] } = await ec2.send(ask)
  await open(ec2, group, after)
  const kept = rulesFor(after)
  const closed = rulesFor(before).filter(
    (rule) => hasRule(group, rule) && !kept.some((one) => sameRule(one, rule)),
  )
  await close(ec2, id, closed)
}

const findGroup = async (ec2: Ec2, token: string): Promise<SecurityGroup | undefined> => {
  const ask = new DescribeSecurityGroupsCommand({ Filters: [ofToken(token)] })
  return (await ec2.send(ask)).SecurityGroups?.[0]
}

/** The group of one host: how it is called, and where it is. */
export interface WantedGroup {
  readonly name: string
  readonly machine: string
  readonly vpc: string
  readonly token: string
  readonly tags: Readonly<Record<string, string>>
  readonly openings: Openings
}

/**
 * Makes a host's own group, unless it is there, and hands its id to `record` before anything else is asked for. Where an
 * earlier attempt came from somewhere else, that place is let in no longer.
 */
export async function ensureGroup(
  ec2: Ec2,
  wanted: WantedGroup,
  record: (id: string) => Promise<void>,
): Promise<string> {
  const group = await createGroup(ec2, wanted)
  const { GroupId: id = '' } = group
  await record(id)
  await open(ec2, group, wanted.openings)
  await close(ec2, id, leftByEarlier(group, wanted.openings))
  return id
}

async function createGroup(ec2: Ec2, wanted: WantedGroup): Promise<SecurityGroup> {
  const ask = new CreateSecurityGroupCommand({
    GroupName: wanted.name,
    Description: `fleet machine ${wanted.machine}`,
    VpcId: wanted.vpc,
    TagSpecifications: tagAll(wanted.tags, 'security-group'),
  })
  try {
    const { GroupId = '' } = await ec2.send(ask)
    return { GroupId }
  } catch (error) {
    if (!isFailure('InvalidGroup.Duplicate')(error)) throw error
  }
  // Made by an earlier attempt, so it has our token; a group that somebody else called so has not.
  return retry(
    ec2.call,
    (error) => error instanceof UserError,
    async () => {
      const group = await findGroup(ec2, wanted.token)
      if (group !== undefined) return group
      throw new UserError(
        'failed',
        `a security group is called ${wanted.name}, and is not fleet's`,
        {
          hint: `remove it: aws ec2 delete-security-group --group-name ${shellQuote(wanted.name)}`,
        },
      )
    },
    20_000,
  )
}

/** Checks groups that a person brings. Throws kind `usage` where one is missing or in another VPC. */
export async function checkGroups(ec2: Ec2, ids: readonly string[], vpc: string): Promise<void> {
  const ask = new DescribeSecurityGroupsCommand({ GroupIds: [...ids] })
  const { SecurityGroups = [] } = await ec2.know(ask)
  for (const { GroupId, VpcId } of SecurityGroups) {
    if (VpcId === vpc) continue
    throw new UserError(
      'usage',
      `security group ${GroupId} is in ${VpcId}, and the host would be in ${vpc}`,
      {
        hint: `name a subnet of ${VpcId} with --subnet, or another group`,
      },
    )
  }
}
