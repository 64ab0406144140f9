import type { AzureStandIn } from './azure.ts'
import type { Body } from './store.ts'

function add({ store }: Pick<AzureStandIn, 'store'>, body: Body): string {
  store.resources.set(body.id.toLowerCase(), { body, busy: false, secrets: {} })
  return body.id
}

const network = ({ subscription }: AzureStandIn, type: string, name: string): string =>
  `/subscriptions/${subscription}/resourceGroups/net/providers/Microsoft.Network/${type}/${name}`

/** Adds a virtual network that the user created, in the resource group `net`. Returns its ID. */
export function addNetwork(
  azure: AzureStandIn,
  {
    location = 'westeurope',
    prefix = '10.1.0.0/24',
    name = 'main',
    peers = [],
  }: {
    readonly location?: string
    readonly prefix?: string
    readonly name?: string
    /** The IDs of the networks that this one is peered with. */
    readonly peers?: readonly string[]
  } = {},
): string {
  azure.addGroup('net')
  const id = network(azure, 'virtualNetworks', name)
  const subnet = { name: 'hosts', id: `${id}/subnets/hosts`, properties: { addressPrefix: prefix } }
  const virtualNetworkPeerings = peers.map((peer, index) => ({
    name: `peer-${index}`,
    id: `${id}/virtualNetworkPeerings/peer-${index}`,
    properties: { remoteVirtualNetwork: { id: peer }, peeringState: 'Connected' },
  }))
  return add(azure, {
    ...{ id, name, type: 'Microsoft.Network/virtualNetworks', location },
    properties: {
      ...{ addressSpace: { addressPrefixes: [prefix] }, subnets: [subnet] },
      ...(peers.length > 0 && { virtualNetworkPeerings }),
    },
  })
}

/** Adds a Bastion that the user created in the network with the ID `home`. Returns its ID. */
export function addBastion(
  azure: AzureStandIn,
  name: string,
  home: string,
  { sku = 'Standard', enableTunneling = true } = {},
): string {
  const id = network(azure, 'bastionHosts', name)
  return add(azure, {
    ...{ id, name, type: 'Microsoft.Network/bastionHosts', location: 'westeurope' },
    sku: { name: sku },
    properties: {
      provisioningState: 'Succeeded',
      dnsName: `bst-${name}.bastion.azure.com`,
      ...{ scaleUnits: 2, enableTunneling },
      ipConfigurations: [
        {
          name: 'bastion_ip_config',
          id: `${id}/bastionHostIpConfigurations/bastion_ip_config`,
          properties: {
            privateIPAllocationMethod: 'Dynamic',
            subnet: { id: `${home}/subnets/AzureBastionSubnet` },
          },
        },
      ],
    },
  })
}
