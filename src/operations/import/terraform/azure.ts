import { listAt, textAt } from '../imported-host.ts'
import type { ProviderHost } from './resource-kinds.ts'
import type { TerraformObject } from './state.ts'

/** Compares resource IDs case-insensitively, since their case varies in Azure's answers. */
const isSameId = (a: string | undefined, b: string | undefined): boolean =>
  a !== undefined && a.toLowerCase() === b?.toLowerCase()

/**
 * Whether any network interface of the virtual machine has a public address; undefined if the state contains none of
 * its network interfaces.
 */
function hasPublicAddress(
  attributes: unknown,
  objects: readonly TerraformObject[],
): boolean | undefined {
  const ids = listAt(attributes, 'network_interface_ids').map(String)
  const interfaces = objects.filter(
    ({ type, attributes: network }) =>
      type === 'azurerm_network_interface' && ids.some((id) => isSameId(id, textAt(network, 'id'))),
  )
  if (interfaces.length === 0) return undefined
  return interfaces.some(({ attributes: network }) =>
    listAt(network, 'ip_configuration').some(
      (configuration) => textAt(configuration, 'public_ip_address_id') !== undefined,
    ),
  )
}

/**
 * The public address of the network interface of a virtual machine, since the older resource type for virtual machines
 * does not include an address.
 */
function publicAddressOf(
  attributes: unknown,
  objects: readonly TerraformObject[],
): string | undefined {
  const ids = listAt(attributes, 'network_interface_ids').map(String)
  const wanted = objects
    .filter(({ type }) => type === 'azurerm_network_interface')
    .filter(({ attributes: network }) => ids.some((id) => isSameId(id, textAt(network, 'id'))))
    .flatMap(({ attributes: network }) => listAt(network, 'ip_configuration'))
    .map((configuration) => textAt(configuration, 'public_ip_address_id'))
  return objects
    .filter(({ type }) => type === 'azurerm_public_ip')
    .filter(({ attributes: address }) => wanted.some((id) => isSameId(id, textAt(address, 'id'))))
    .map(({ attributes: address }) => textAt(address, 'ip_address'))
    .find((address) => address !== undefined)
}

/**
 * An Azure virtual machine. If it is deallocated and has a dynamic address, that address is not in the state.
 * Therefore, it counts as private only if the state shows that it has no public address.
 */
export function azureHost(attributes: unknown, objects: readonly TerraformObject[]): ProviderHost {
  const id = textAt(attributes, 'id')
  const publicAddress =
    textAt(attributes, 'public_ip_address') ?? publicAddressOf(attributes, objects)
  const privateAddress = textAt(attributes, 'private_ip_address')
  const privateOnly = publicAddress === undefined && hasPublicAddress(attributes, objects) === false
  const known =
    id === undefined
      ? undefined
      : { driver: 'azure', id, options: privateOnly ? { privateOnly } : {} }
  return { address: publicAddress ?? (privateOnly ? privateAddress : undefined), known }
}
