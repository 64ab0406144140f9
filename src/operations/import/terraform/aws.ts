import { isTrueAt, textAt, valueAt } from '../imported-host.ts'
import type { ProviderHost } from './resource-kinds.ts'
import type { TerraformObject } from './state.ts'

/** The Elastic IP of an instance, which may be a separate resource in the state. */
function elasticIpOf(instance: unknown, objects: readonly TerraformObject[]): string | undefined {
  const id = textAt(instance, 'id')
  const network = textAt(instance, 'primary_network_interface_id')
  const isOf = (attributes: unknown, idKey: string, networkKey: string): boolean =>
    (id !== undefined && textAt(attributes, idKey) === id) ||
    (network !== undefined && textAt(attributes, networkKey) === network)
  const addresses = objects.filter(({ type }) => type === 'aws_eip')
  for (const { type, attributes } of objects) {
    if (type === 'aws_eip' && isOf(attributes, 'instance', 'network_interface')) {
      return textAt(attributes, 'public_ip')
    }
    if (type !== 'aws_eip_association') continue
    if (!isOf(attributes, 'instance_id', 'network_interface_id')) continue
    const allocation = textAt(attributes, 'allocation_id')
    const allocated = addresses.find(
      ({ attributes: address }) =>
        allocation !== undefined &&
        [textAt(address, 'id'), textAt(address, 'allocation_id')].includes(allocation),
    )
    return textAt(attributes, 'public_ip') ?? textAt(allocated?.attributes, 'public_ip')
  }
  return undefined
}

/**
 * An EC2 instance. A stopped instance has no public address in the state but may get one when it starts, so AWS is
 * asked for the address.
 */
export function awsHost(attributes: unknown, objects: readonly TerraformObject[]): ProviderHost {
  const id = textAt(attributes, 'id')?.startsWith('sir-')
    ? textAt(attributes, 'spot_instance_id')
    : textAt(attributes, 'id')
  const region =
    textAt(attributes, 'region') ??
    /^arn:[^:]*:ec2:([^:]+):/.exec(textAt(attributes, 'arn') ?? '')?.[1] ??
    /^([a-z]+(?:-[a-z]+)+-\d+)[a-z]$/.exec(textAt(attributes, 'availability_zone') ?? '')?.[1]
  const publicAddress = textAt(attributes, 'public_ip') ?? elasticIpOf(attributes, objects)
  const state = textAt(attributes, 'instance_state')
  const isRunning = state === undefined || state === 'running'
  const privateOnly =
    publicAddress === undefined && isRunning && !isTrueAt(attributes, 'associate_public_ip_address')
  const known =
    id === undefined || region === undefined
      ? undefined
      : { driver: 'aws', id, options: { region, ...(privateOnly && { privateOnly }) } }
  const address = publicAddress ?? (privateOnly ? textAt(attributes, 'private_ip') : undefined)
  return { address, known }
}

/** Whether an instance has been terminated. */
export const isTerminated = (attributes: unknown): boolean =>
  ['terminated', 'shutting-down'].includes(String(valueAt(attributes, 'instance_state')))
