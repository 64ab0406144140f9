import type { Subnet } from '@azure/arm-network'
import type { Call } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { parseResourceId } from './host-location.ts'
import { ignoreForbidden, ignoreNotFound, usageError } from '../api/sdk-errors.ts'
import { allowsSsh } from '../network/allows-ssh.ts'

/** How long a result is cached, in milliseconds: hosts that are created together need the same results. */
const maxAge = 5000

/** Checks that the user's own resource group exists. Throws kind `usage`. */
export async function checkGroup(api: AzureApi, group: string, call: Call): Promise<void> {
  const ask = () => api.resources.resourceGroups.get(group, { abortSignal: call.signal })
  const found = await ignoreNotFound(api.cached(`group ${group}`, ask, maxAge))
  if (found === undefined) {
    throw usageError(
      `there is no resource group ${group}`,
      'check --resource-group and --subscription',
    )
  }
  if (found.properties?.provisioningState === 'Deleting') {
    throw usageError(
      `the resource group ${group} is being deleted`,
      'choose another --resource-group',
    )
  }
}

/** Parses `VNET/SUBNET`, `GROUP/VNET/SUBNET` or an ID. */
function parseSubnet(subnet: string, group: string | undefined): readonly string[] {
  const id =
    /^\/subscriptions\/[^/]+\/resourceGroups\/([^/]+)\/providers\/Microsoft\.Network\/virtualNetworks\/([^/]+)\/subnets\/([^/]+)$/i.exec(
      subnet,
    )
  if (id !== null) return id.slice(1)
  const parts = subnet.split('/')
  return parts.length === 3 ? parts : [group ?? '', ...parts]
}

/** The user's own subnet and its security group. */
export interface FoundSubnet {
  readonly id: string
  readonly securityGroup?: string | undefined
}

/** Returns the number of free addresses in a subnet. Azure reserves five. */
function freeAddresses({ addressPrefix, addressPrefixes, ipConfigurations }: Subnet): number {
  const prefix = addressPrefix ?? addressPrefixes?.find((one) => !one.includes(':'))
  if (prefix === undefined) return Infinity
  return 2 ** (32 - Number(prefix.split('/')[1])) - 5 - (ipConfigurations?.length ?? 0)
}

const missing = (what: string) => usageError(`there is no ${what}`, 'check --subnet')

/**
 * Finds the user's own subnet, and checks that a host in `location` can use it. Throws kind
 * `usage`.
 */
export async function findSubnet(
  api: AzureApi,
  wanted: string,
  group: string | undefined,
  location: string,
  call: Call,
): Promise<FoundSubnet> {
  const [of = '', network = '', name = ''] = parseSubnet(wanted, group)
  if (of === '')
    throw usageError(
      `--subnet ${wanted} requires a resource group`,
      'specify the subnet as GROUP/VNET/SUBNET',
    )
  const options = { abortSignal: call.signal }
  const ask = () => api.network.virtualNetworks.get(of, network, options)
  const found = await ignoreNotFound(api.cached(`network ${of}/${network}`, ask, maxAge))
  if (found === undefined) throw missing(`virtual network ${network} in the resource group ${of}`)
  if (found.location !== location) {
    throw usageError(
      `the virtual network ${network} is in ${found.location}, not in ${location}`,
      `use --location ${found.location}, or another --subnet`,
    )
  }
  const subnet = found.subnets?.find((one) => one.name?.toLowerCase() === name.toLowerCase())
  if (subnet?.id === undefined) throw missing(`subnet ${name} in the virtual network ${network}`)
  if ((subnet.delegations ?? []).length > 0) {
    throw usageError(`the subnet ${name} is delegated to a service`, 'choose another --subnet')
  }
  if (freeAddresses(subnet) < 1)
    throw usageError(`the subnet ${name} has no free addresses`, 'choose another --subnet')
  return { id: subnet.id, securityGroup: subnet.networkSecurityGroup?.id }
}

/**
 * Whether a range contains private addresses (RFC 1918, RFC 4193). Their traffic arrives through a peering or a VPN,
 * and Azure's default rules allow it as traffic of the virtual network.
 */
const isPrivate = (cidr: string): boolean =>
  /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|f[cd])/i.test(cidr)

/**
 * Returns warnings if the subnet's own security group does not allow SSH: traffic must pass both this group and the
 * host's own group (https://learn.microsoft.com/azure/virtual-network/network-security-group-how-it-works).
 */
export async function subnetWarnings(
  api: AzureApi,
  { securityGroup }: FoundSubnet,
  sources: readonly string[],
  call: Call,
): Promise<readonly string[]> {
  if (securityGroup === undefined) return []
  const { group, name } = parseResourceId(securityGroup)
  const ask = () => api.network.networkSecurityGroups.get(group, name, { abortSignal: call.signal })
  const found = await ignoreForbidden(
    ignoreNotFound(api.cached(`rules ${group}/${name}`, ask, maxAge)),
  )
  if (found === undefined) {
    return [`the subnet's security group ${name} cannot be read; check that it allows SSH`]
  }
  const blocked = sources.filter(
    (source) => !isPrivate(source) && !allowsSsh(found.securityRules ?? [], source),
  )
  if (blocked.length === 0) return []
  return [
    `the subnet's security group ${name} does not allow SSH from ${blocked.join(', ')}: add a rule, or choose another --subnet`,
  ]
}
