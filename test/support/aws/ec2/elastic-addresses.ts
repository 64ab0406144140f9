import type { Account, Handler } from './account.ts'
import { Ec2Error } from '../http/ec2-error.ts'
import type { Instance } from './instance.ts'
import { type Tree, itemsOf, listOf, textOf } from '../http/xml.ts'

async function describe({ moto }: Account, region: string): Promise<Tree[]> {
  return itemsOf(await moto.ec2(region, { Action: 'DescribeAddresses' }), 'addressesSet')
}

const allocateAddress: Handler = async (account, { region, parameters }) => {
  const { moto, hosts, elastic, hidden, settings } = account
  const answer = await moto.ec2(region, parameters)
  const id = textOf(answer, 'allocationId') ?? ''
  const address = await hosts.newAddress()
  elastic.set(id, address)
  hidden.hide('address', id, settings().lags.hidden)
  return { ...answer, publicIp: address }
}

const describeAddresses: Handler = async ({ moto, elastic, hidden, instances }, call) => {
  const answer = await moto.ec2(call.region, call.parameters)
  const shown = itemsOf(answer, 'addressesSet').filter((tree) => {
    const id = textOf(tree, 'allocationId') ?? ''
    const address = elastic.get(id)
    if (address === undefined || hidden.has(id)) return false
    tree['publicIp'] = address
    const instance = instances.get(textOf(tree, 'instanceId') ?? '')
    if (instance) tree['privateIpAddress'] = instance.plan.host.privateAddress
    return true
  })
  answer['addressesSet'] = listOf(shown)
  return answer
}

const associateAddress: Handler = async (account, { region, parameters }) => {
  const { moto, elastic, instances } = account
  const id = parameters['InstanceId'] ?? ''
  const instance = instances.get(id)
  if (!instance)
    throw new Ec2Error('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`)
  if (instance.state !== 'running' && instance.state !== 'stopped')
    throw new Ec2Error(
      'InvalidInstanceID',
      `The ${instance.state} instance '${id}' is not in a valid state for this operation.`,
    )
  const answer = await moto.ec2(region, parameters)
  await instance.useElastic(elastic.get(parameters['AllocationId'] ?? ''))
  return answer
}

/** Returns the instance that an address is associated with. */
function ownerOf(account: Account, tree: Tree | undefined): Instance | undefined {
  return account.instances.get(textOf(tree, 'instanceId') ?? '')
}

const disassociateAddress: Handler = async (account, { region, parameters }) => {
  const addresses = await describe(account, region)
  const association = parameters['AssociationId']
  const found = addresses.find((tree) => textOf(tree, 'associationId') === association)
  const answer = await account.moto.ec2(region, parameters)
  await ownerOf(account, found)?.useElastic(undefined)
  return answer
}

const releaseAddress: Handler = async (account, { region, parameters }) => {
  const id = parameters['AllocationId'] ?? ''
  const found = (await describe(account, region)).find((tree) => tree['allocationId'] === id)
  if (textOf(found, 'associationId') !== undefined)
    throw new Ec2Error('InvalidIPAddress.InUse', `Address ${account.elastic.get(id)} is in use.`)
  const answer = await account.moto.ec2(region, parameters)
  account.elastic.delete(id)
  return answer
}

/** Handlers of calls for elastic addresses. */
export const elasticAddressHandlers: Readonly<Record<string, Handler>> = {
  AllocateAddress: allocateAddress,
  DescribeAddresses: describeAddresses,
  AssociateAddress: associateAddress,
  DisassociateAddress: disassociateAddress,
  ReleaseAddress: releaseAddress,
}
