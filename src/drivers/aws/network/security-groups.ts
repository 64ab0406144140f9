import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeSecurityGroupsCommand,
  type IpPermission,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroup,
} from '@aws-sdk/client-ec2'
import { isIPv6 } from 'node:net'
import { UserError } from '../../../errors.ts'
import { coversRange, parseCidrs } from '../../net/cidrs.ts'
import { retry, waitUntil } from '../api/retry.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { awsCommand } from '../api/aws-command.ts'
import { isFailure } from '../api/errors.ts'
import type { PortRange } from '../../net/ports.ts'
import { byToken, tagAll } from '../tags.ts'
import { shellQuote } from '../../../os/shell-quote.ts'

/** The ingress rules of a host's security group. */
export interface IngressRules {
  readonly sshCidrs: readonly string[]
  readonly ports: readonly PortRange[]
}

/** A rule with one port range and one address range, so that lists of rules can be compared. */
interface Rule extends PortRange {
  readonly cidr: string
}

const everybody = ['0.0.0.0/0', '::/0']

const rulesFor = ({ sshCidrs, ports }: IngressRules): readonly Rule[] => [
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

/** Returns a range in the notation of {@link parseCidrs}, because EC2 may write IPv6 ranges differently. */
const canonical = (cidr = ''): string => parseCidrs(cidr)?.[0] ?? cidr

/** Returns the rules of a group whose sources are address ranges. */
const rulesIn = ({ IpPermissions = [] }: SecurityGroup): readonly Rule[] =>
  IpPermissions.flatMap(
    ({ FromPort: from, ToPort: to, IpProtocol, IpRanges = [], Ipv6Ranges = [] }) => {
      if (from === undefined || to === undefined) return []
      const protocol = IpProtocol as Rule['protocol']
      return [
        ...IpRanges.map(({ CidrIp }) => ({ from, to, protocol, cidr: canonical(CidrIp) })),
        ...Ipv6Ranges.map(({ CidrIpv6 }) => ({ from, to, protocol, cidr: canonical(CidrIpv6) })),
      ]
    },
  )

const sameRule = (a: Rule, b: Rule): boolean =>
  a.from === b.from && a.to === b.to && a.protocol === b.protocol && a.cidr === b.cidr

const isIn = (rules: readonly Rule[], rule: Rule): boolean =>
  rules.some((one) => sameRule(one, rule))

/**
 * Adds the missing rules. EC2 rejects the whole request if any of the rules already exists; the rules are then added
 * one by one.
 */
async function open(ec2: Ec2, group: SecurityGroup, ingressRules: IngressRules): Promise<void> {
  const existing = rulesIn(group)
  const missing = rulesFor(ingressRules).filter((rule) => !isIn(existing, rule))
  if (missing.length === 0) return
  const isDuplicate = isFailure('InvalidPermission.Duplicate')
  const authorize = async (rules: readonly Rule[]): Promise<void> => {
    const ask = new AuthorizeSecurityGroupIngressCommand({
      GroupId: group.GroupId,
      IpPermissions: rules.map(permissionOf),
    })
    await retry(ec2.call, isFailure('InvalidGroup.NotFound'), () => ec2.send(ask)).catch(
      async (error: unknown) => {
        if (!isDuplicate(error)) throw error
        if (rules.length > 1) for (const rule of rules) await authorize([rule])
      },
    )
  }
  await authorize(missing)
}

/** Revokes existing rules of a group. */
async function close(ec2: Ec2, id: string, rules: readonly Rule[]): Promise<void> {
  if (rules.length === 0) return
  const IpPermissions = rules.map(permissionOf)
  await ec2
    .send(new RevokeSecurityGroupIngressCommand({ GroupId: id, IpPermissions }))
    .catch(async (error: unknown) => {
      if (!isFailure('InvalidPermission.NotFound')(error)) throw error
      if (rules.length > 1) for (const rule of rules) await close(ec2, id, [rule])
    })
}

/** Whether a range is a single address. */
const isSingle = (cidr: string): boolean =>
  cidr.endsWith(isIPv6(cidr.split('/')[0] ?? '') ? '/128' : '/32')

/** Returns the SSH rules for single addresses that an earlier attempt added and that are no longer needed. */
const staleSshRules = (group: SecurityGroup, { sshCidrs }: IngressRules): readonly Rule[] =>
  rulesIn(group).filter(
    ({ from, to, protocol, cidr }) =>
      from === 22 && to === 22 && protocol === 'tcp' && isSingle(cidr) && !sshCidrs.includes(cidr),
  )

const describeGroup = async (ec2: Ec2, id: string): Promise<SecurityGroup> => {
  const ask = new DescribeSecurityGroupsCommand({ GroupIds: [id] })
  const { SecurityGroups: [group = { GroupId: id }] = [] } = await ec2.send(ask)
  return group
}

/**
 * Whether a group allows SSH from a range. Rules whose source is another group or a prefix list are not resolved; they
 * are assumed to allow it.
 */
export async function allowsSsh(ec2: Ec2, id: string, range: string): Promise<boolean> {
  const { IpPermissions = [] } = await describeGroup(ec2, id)
  return IpPermissions.filter(
    ({ IpProtocol, FromPort = 0, ToPort = 65_535 }) =>
      IpProtocol === '-1' || (IpProtocol === 'tcp' && FromPort <= 22 && ToPort >= 22),
  ).some(
    ({ IpRanges = [], Ipv6Ranges = [], PrefixListIds = [], UserIdGroupPairs = [] }) =>
      PrefixListIds.length > 0 ||
      UserIdGroupPairs.length > 0 ||
      [...IpRanges.map(({ CidrIp }) => CidrIp), ...Ipv6Ranges.map(({ CidrIpv6 }) => CidrIpv6)].some(
        (cidr) => coversRange(canonical(cidr), range),
      ),
  )
}

/**
 * Adds the rules of `after`, and revokes rules that are only in `before`. Other rules are kept.
 * Resolves when the change is visible; throws kind `failed` if it does not become visible.
 */
export async function updateIngressRules(
  ec2: Ec2,
  id: string,
  before: IngressRules,
  after: IngressRules,
): Promise<void> {
  const group = await describeGroup(ec2, id)
  const wanted = rulesFor(after)
  const closed = rulesFor(before).filter((rule) => !isIn(wanted, rule))
  const existing = rulesIn(group)
  await open(ec2, group, after)
  await close(
    ec2,
    id,
    closed.filter((rule) => isIn(existing, rule)),
  )
  await waitUntil(ec2.call, 'update the security group', async () => {
    const now = rulesIn(await describeGroup(ec2, id))
    const missing = wanted.filter((rule) => !isIn(now, rule))
    const left = closed.filter((rule) => isIn(now, rule))
    const [first] = [...missing, ...left]
    if (first === undefined) return { done: undefined }
    const { from, cidr } = first
    return { pending: `EC2 has not updated the rule for port ${from} and ${cidr} in ${id} yet` }
  })
}

const findGroup = async (ec2: Ec2, token: string): Promise<SecurityGroup | undefined> => {
  const ask = new DescribeSecurityGroupsCommand({ Filters: [byToken(token)] })
  return (await ec2.send(ask)).SecurityGroups?.[0]
}

/** The security group to create for a host. */
export interface GroupSpec {
  readonly name: string
  readonly machine: string
  readonly vpc: string
  readonly token: string
  readonly tags: Readonly<Record<string, string>>
  readonly ingressRules: IngressRules
}

/**
 * Creates a host's security group, unless it already exists, and calls `record` with the group's ID before sending any
 * other request. Revokes the SSH access that earlier attempts granted to other addresses.
 */
export async function ensureGroup(
  ec2: Ec2,
  wanted: GroupSpec,
  record: (id: string) => Promise<void>,
): Promise<string> {
  const group = await createGroup(ec2, wanted)
  const { GroupId: id = '' } = group
  await record(id)
  await open(ec2, group, wanted.ingressRules)
  await close(ec2, id, staleSshRules(group, wanted.ingressRules))
  return id
}

async function createGroup(ec2: Ec2, wanted: GroupSpec): Promise<SecurityGroup> {
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
  // A group created by an earlier attempt has the token; a group with the same name that belongs to something else does
  // not.
  return retry(
    ec2.call,
    (error) => error instanceof UserError,
    async () => {
      const group = await findGroup(ec2, wanted.token)
      if (group !== undefined) return group
      const filters = `Name=group-name,Values=${shellQuote(wanted.name)} Name=vpc-id,Values=${wanted.vpc}`
      const find = `ec2 describe-security-groups --filters ${filters} --query 'SecurityGroups[].GroupId'`
      throw new UserError(
        'failed',
        `security group ${wanted.name} already exists and was not created by fleet`,
        {
          hint: `delete the security group: ${awsCommand('ec2 delete-security-group --group-id ID', ec2)}; to find its ID: ${awsCommand(find, ec2)}`,
        },
      )
    },
    20_000,
  )
}

/** Checks the user's own security groups. Throws kind `usage` if one is in another VPC. */
export async function checkGroups(ec2: Ec2, ids: readonly string[], vpc: string): Promise<void> {
  const ask = new DescribeSecurityGroupsCommand({ GroupIds: [...ids] })
  const { SecurityGroups = [] } = await ec2.sendCached(ask)
  for (const { GroupId, VpcId } of SecurityGroups) {
    if (VpcId === vpc) continue
    throw new UserError(
      'usage',
      `security group ${GroupId} is in ${VpcId}, but the host would be in ${vpc}`,
      {
        hint: `choose a --subnet in ${VpcId}, or other --security-groups`,
      },
    )
  }
}
