import type { Handler } from './account.ts'
import { Ec2Error } from './ec2-error.ts'
import { holdersOf } from './instances.ts'
import { itemsOf, listOf, textOf } from './xml.ts'

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

/** The handlers of what acts on security groups. */
export const securityGroupHandlers: Readonly<Record<string, Handler>> = {
  CreateSecurityGroup: createSecurityGroup,
  DescribeSecurityGroups: describeSecurityGroups,
  DeleteSecurityGroup: deleteSecurityGroup,
}
