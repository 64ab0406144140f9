import { images } from './images.ts'
import { type Instance, stateCodes, type StateName } from './instance.ts'
import { type Tree, childOf, itemsOf, listOf, textOf } from '../http/xml.ts'

/** Returns a state in the format of EC2's responses. */
export const showState = (name: StateName): Tree => ({ code: stateCodes[name], name })

/** Sets or removes the association of a public address. */
function associate(tree: Tree, address: string | undefined): void {
  if (address === undefined) delete tree['association']
  else tree['association'] = { publicIp: address, publicDnsName: '', ipOwnerId: 'amazon' }
}

function showInterface(tree: Tree, { plan }: Instance, address: string | undefined): void {
  tree['privateIpAddress'] = plan.host.privateAddress
  delete tree['privateDnsName']
  associate(tree, address)
  for (const entry of itemsOf(tree, 'privateIpAddressesSet')) {
    entry['privateIpAddress'] = plan.host.privateAddress
    delete entry['privateDnsName']
    associate(entry, address)
  }
}

const groupSetOf = ({ groups }: Instance): Tree | string =>
  listOf(groups.map((groupId) => ({ groupId })))

/** Updates moto's description of an instance: its current state, and the addresses of its host. */
export function showInstance(tree: Tree, instance: Instance): void {
  const { plan, state } = instance
  const isGone = state === 'terminated'
  tree['instanceState'] = showState(state)
  tree['clientToken'] = plan.token ?? ''
  for (const name of ['dnsName', 'publicDnsName', 'privateDnsName']) tree[name] = ''
  delete tree['ipAddress']
  delete tree['privateIpAddress']
  if (!isGone) tree['privateIpAddress'] = plan.host.privateAddress
  if (instance.address !== undefined) tree['ipAddress'] = instance.address
  if (isGone) tree['networkInterfaceSet'] = ''
  // The groups of the first interface (EC2 API reference, Instance); moto does not show them.
  tree['groupSet'] = isGone ? '' : groupSetOf(instance)
  for (const entry of itemsOf(tree, 'networkInterfaceSet'))
    showInterface(entry, instance, instance.address)
  const image = images.find(({ id }) => id === tree['imageId'])
  if (image) tree['rootDeviceName'] = image.rootDevice
  if (instance.stateReason !== undefined) tree['stateReason'] = { ...instance.stateReason }
  if (plan.isSpot) tree['instanceLifecycle'] = 'spot'
}

/** Updates the interfaces of instances in moto's response to DescribeNetworkInterfaces. */
export function showInterfaces(answer: Tree, instances: ReadonlyMap<string, Instance>): void {
  for (const entry of itemsOf(answer, 'networkInterfaceSet')) {
    const instance = instances.get(textOf(childOf(entry, 'attachment'), 'instanceId') ?? '')
    if (!instance) continue
    showInterface(entry, instance, instance.address)
    entry['groupSet'] = groupSetOf(instance)
  }
}
