import type { Account, Ec2Call, Handler } from './account.ts'
import type { ClientTokens } from './client-tokens.ts'
import { Ec2Error } from '../http/ec2-error.ts'
import { elasticAddressHandlers } from './elastic-addresses.ts'
import { images } from './images.ts'
import { instanceHandlers } from './instances.ts'
import { keyPairHandlers } from './key-pairs.ts'
import { removeMadeUpAddresses } from './made-up-addresses.ts'
import { filtersOf, tagSpecifications, withFilters } from '../http/query.ts'
import { securityGroupHandlers } from './security-groups.ts'
import { showInterfaces } from './show-instance.ts'
import { type Tree, childOf, itemsOf, listOf, textOf } from '../http/xml.ts'

/** The types of resources that each creating call creates. */
const creations: Readonly<Record<string, readonly string[]>> = {
  RunInstances: ['instance', 'volume'],
  CreateSecurityGroup: ['security-group'],
  ImportKeyPair: ['key-pair'],
  AllocateAddress: ['elastic-ip'],
}

function checkTags({ settings }: Account, { parameters }: Ec2Call): void {
  const given = tagSpecifications(parameters)
  for (const kind of creations[parameters['Action'] ?? ''] ?? [])
    for (const key of settings().requiredTags)
      if (!given.get(kind)?.has(key))
        throw new Ec2Error(
          'UnauthorizedOperation',
          `You are not authorized to perform this operation. The policy asks for the tag ${key} on each new ${kind}.`,
        )
}

/**
 * Adds the size of the root disk, which moto does not know, to images, and removes attributes that
 * the real images do not have.
 */
const describeImages: Handler = async ({ moto }, { region, parameters }) => {
  const answer = await moto.ec2(region, parameters)
  for (const tree of itemsOf(answer, 'imagesSet')) {
    const image = images.find(({ id }) => id === tree['imageId'])
    const [disk] = itemsOf(tree, 'blockDeviceMapping')
    const ebs = childOf(disk, 'ebs')
    if (image && ebs)
      Object.assign(ebs, {
        volumeSize: String(image.rootSize),
        volumeType: 'gp3',
        deleteOnTermination: 'true',
      })
    for (const name of ['imageOwnerAlias', 'kernelId', 'ramdiskId']) delete tree[name]
  }
  return answer
}

/** Filters interfaces by their current groups: moto compares the groups that they were created with. */
const describeNetworkInterfaces: Handler = async ({ moto, instances }, { region, parameters }) => {
  const filters = new Map(filtersOf(parameters))
  const groups = filters.get('group-id')
  filters.delete('group-id')
  const answer = await moto.ec2(region, withFilters(parameters, filters))
  showInterfaces(answer, instances)
  const isMeant = (tree: Tree) =>
    itemsOf(tree, 'groupSet').some((group) => groups?.includes(textOf(group, 'groupId') ?? ''))
  const shown = itemsOf(answer, 'networkInterfaceSet')
  answer['networkInterfaceSet'] = listOf(groups === undefined ? shown : shown.filter(isMeant))
  return answer
}

/**
 * The default VPC has a route to the internet (VPC user guide, "Default VPC components"); moto's
 * does not.
 */
const describeRouteTables: Handler = async ({ moto }, { region, parameters }) => {
  const defaults = { 'Filter.1.Name': 'is-default', 'Filter.1.Value.1': 'true' }
  const [answer, vpcs] = await Promise.all([
    moto.ec2(region, parameters),
    moto.ec2(region, { Action: 'DescribeVpcs', ...defaults }),
  ])
  const ids = new Set(itemsOf(vpcs, 'vpcSet').map((vpc) => textOf(vpc, 'vpcId')))
  const out = { destinationCidrBlock: '0.0.0.0/0', gatewayId: 'igw-0default', state: 'active' }
  for (const table of itemsOf(answer, 'routeTableSet'))
    if (ids.has(textOf(table, 'vpcId')))
      table['routeSet'] = listOf([...itemsOf(table, 'routeSet'), out])
  return answer
}

/**
 * Only T types have CPU credits (EC2 API reference, ModifyInstanceCreditSpecification); moto does
 * not support them.
 */
const modifyCredits: Handler = async ({ instances }, { parameters }) => {
  const prefix = 'InstanceCreditSpecification.1'
  const id = parameters[`${prefix}.InstanceId`] ?? ''
  const instance = instances.get(id)
  if (!instance)
    throw new Ec2Error('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`)
  const isBurstable = /^t\d/.test(instance.plan.type)
  const error = {
    code: 'InstanceCreditSpecification.NotSupported',
    message: 'The specified instance does not use CPU credits.',
  }
  return isBurstable
    ? { successfulInstanceCreditSpecificationSet: listOf([{ instanceId: id }]) }
    : { unsuccessfulInstanceCreditSpecificationSet: listOf([{ instanceId: id, error }]) }
}

/** Handles every EC2 call: adds behavior of AWS that moto does not have, and passes the rest to moto. */
export function makeEc2(
  account: Account,
  tokens: ClientTokens<Tree>,
): (call: Ec2Call) => Promise<Tree> {
  const handlers: Readonly<Record<string, Handler>> = {
    ...instanceHandlers(tokens),
    ...keyPairHandlers,
    ...securityGroupHandlers,
    ...elasticAddressHandlers,
    DescribeImages: describeImages,
    DescribeNetworkInterfaces: describeNetworkInterfaces,
    DescribeRouteTables: describeRouteTables,
    ModifyInstanceCreditSpecification: modifyCredits,
  }
  return async (call) => {
    const { region, parameters } = call
    const action = parameters['Action'] ?? ''
    account.hidden.check(action, parameters)
    checkTags(account, call)
    const handler = handlers[action]
    const answer = await (handler ? handler(account, call) : account.moto.ec2(region, parameters))
    removeMadeUpAddresses(account, answer)
    return answer
  }
}
