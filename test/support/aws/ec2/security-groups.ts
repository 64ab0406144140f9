import type { Account, Handler } from './account.ts'
import { Ec2Error } from '../http/ec2-error.ts'
import { holdersOf } from './instances.ts'
import type { Parameters } from '../http/query.ts'
import { itemsOf, listOf, textOf } from '../http/xml.ts'

const createSecurityGroup: Handler = async ({ moto, hidden, settings }, { region, parameters }) => {
  if (parameters['VpcId'] === undefined) {
    const defaults = { 'Filter.1.Name': 'is-default', 'Filter.1.Value.1': 'true' }
    const vpcs = itemsOf(await moto.ec2(region, { Action: 'DescribeVpcs', ...defaults }), 'vpcSet')
    if (vpcs.length === 0) throw new Ec2Error('VPCIdNotSpecified', 'No default VPC for this user')
  }
  const answer = await moto.ec2(region, parameters)
  hidden.hide('group', textOf(answer, 'groupId') ?? '', settings().lags.hidden)
  return answer
}

const describeSecurityGroups: Handler = async ({ moto, hidden }, { region, parameters }) => {
  const answer = await moto.ec2(region, parameters)
  const groups = itemsOf(answer, 'securityGroupInfo')
  answer['securityGroupInfo'] = listOf(
    groups.filter((group) => !hidden.has(textOf(group, 'groupId'))),
  )
  return answer
}

const deleteSecurityGroup: Handler = async (account, { region, parameters }) => {
  const id = parameters['GroupId'] ?? ''
  if (account.settings().groupDependencies && holdersOf(account, id).length > 0)
    throw new Ec2Error('DependencyViolation', `resource ${id} has a dependent object`)
  return account.moto.ec2(region, parameters)
}

/** EC2 clears the host bits of a range (API reference, IpRange.CidrIp). */
function canonicalCidr(cidr: string): string {
  const [address = '', length = '32'] = cidr.split('/')
  if (address.includes(':')) return cidr.toLowerCase()
  const bits = address.split('.').reduce((all, part) => all * 256 + Number(part), 0)
  const size = 2 ** (32 - Number(length))
  const network = Math.floor(bits / size) * size
  const parts = [24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256)
  return `${parts.join('.')}/${length}`
}

/** Returns one rule of a request or a group as text. */
const ruleText = (protocol?: string, from?: string, to?: string, source?: string): string =>
  [protocol, from, to, source].join(' ')

/** Resolves to the rules of a group. */
async function rulesOf(
  { moto }: Account,
  region: string,
  id: string,
): Promise<ReadonlySet<string>> {
  const answer = await moto.ec2(region, { Action: 'DescribeSecurityGroups', 'GroupId.1': id })
  const [group] = itemsOf(answer, 'securityGroupInfo')
  return new Set(
    itemsOf(group ?? {}, 'ipPermissions').flatMap((permission) => {
      const ports = ['ipProtocol', 'fromPort', 'toPort'].map((key) => textOf(permission, key))
      return [
        ...itemsOf(permission, 'ipRanges').map((range) => textOf(range, 'cidrIp')),
        ...itemsOf(permission, 'ipv6Ranges').map((range) => textOf(range, 'cidrIpv6')),
        ...itemsOf(permission, 'groups').map((source) => textOf(source, 'groupId')),
      ].map((source) => ruleText(ports[0], ports[1], ports[2], source))
    }),
  )
}

/** Returns the rules in a request. */
const rulesIn = (parameters: Parameters): readonly string[] =>
  Object.entries(parameters).flatMap(([key, cidr]) => {
    const [, permission] =
      /^(IpPermissions\.\d+)\.(?:(?:IpRanges|Ipv6Ranges)\.\d+\.Cidr|Groups\.\d+\.GroupId)/.exec(
        key,
      ) ?? []
    if (permission === undefined) return []
    const of = (name: string) => parameters[`${permission}.${name}`]
    return [ruleText(of('IpProtocol'), of('FromPort'), of('ToPort'), cidr)]
  })

/** EC2 accepts either all rules of a request or none: if one is a duplicate, the others are rejected, too. */
const changeIngress =
  (isWrong: (there: ReadonlySet<string>, rule: string) => boolean, code: string): Handler =>
  async (account, { region, parameters }) => {
    const canonical = Object.fromEntries(
      Object.entries(parameters).map(([key, value]) => [
        key,
        /\.Cidr(?:Ip|Ipv6)$/.test(key) && value !== undefined ? canonicalCidr(value) : value,
      ]),
    )
    const there = await rulesOf(account, region, parameters['GroupId'] ?? '')
    const wrong = rulesIn(canonical).find((rule) => isWrong(there, rule))
    if (wrong !== undefined) throw new Ec2Error(code, `the specified rule "${wrong}"`)
    return account.moto.ec2(region, canonical)
  }

/** Handlers of calls for security groups. */
export const securityGroupHandlers: Readonly<Record<string, Handler>> = {
  CreateSecurityGroup: createSecurityGroup,
  DescribeSecurityGroups: describeSecurityGroups,
  DeleteSecurityGroup: deleteSecurityGroup,
  AuthorizeSecurityGroupIngress: changeIngress(
    (there, rule) => there.has(rule),
    'InvalidPermission.Duplicate',
  ),
  RevokeSecurityGroupIngress: changeIngress(
    (there, rule) => !there.has(rule),
    'InvalidPermission.NotFound',
  ),
}
