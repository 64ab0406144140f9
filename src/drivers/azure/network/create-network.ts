import type {
  NetworkInterface,
  NetworkSecurityGroup,
  PublicIPAddress,
  SecurityRule,
  VirtualNetwork,
} from '@azure/arm-network'
import type { Call } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { allSettled, retryWhileBusy } from '../api/retry.ts'
import type { Decision } from '../create/decision.ts'
import { ignoreNotFound } from '../api/sdk-errors.ts'
import { retry } from '../../../os/retry.ts'
import { ensureSharedNetwork, isNetworkGone, rangeOf } from './shared-network.ts'

const step = 'create the network'

const inbound = (rule: SecurityRule): SecurityRule => ({
  direction: 'Inbound',
  access: 'Allow',
  sourcePortRange: '*',
  destinationAddressPrefix: '*',
  ...rule,
})

const sshRule = (sourceAddressPrefixes: string[], isIPv6: boolean): SecurityRule =>
  inbound({
    name: isIPv6 ? 'ssh-ipv6' : 'ssh',
    priority: isIPv6 ? 101 : 100,
    protocol: 'Tcp',
    sourceAddressPrefixes,
    destinationPortRange: '22',
  })

/** Returns the rules that fleet manages in a host's security group. */
export function rulesFor({
  sshCidrs,
  ports,
}: Pick<Decision, 'sshCidrs' | 'ports'>): SecurityRule[] {
  // A rule can contain addresses of only one IP version.
  const ssh = [false, true].flatMap((isIPv6) => {
    const sources = sshCidrs.filter((cidr) => cidr.includes(':') === isIPv6)
    return sources.length === 0 ? [] : [sshRule(sources, isIPv6)]
  })
  const open = ports.map(({ from, to, protocol }, index) =>
    inbound({
      name: `open-${from}-${protocol}`,
      priority: 200 + index,
      protocol: protocol === 'udp' ? 'Udp' : 'Tcp',
      sourceAddressPrefix: '*',
      destinationPortRange: from === to ? String(from) : `${from}-${to}`,
    }),
  )
  return [...ssh, ...open]
}

/**
 * Returns a rule that denies traffic from other hosts in a shared network, as if each host had a separate network,
 * because Azure's default rules allow all traffic within a virtual network. Only rules with a lower priority number can
 * still allow such traffic.
 */
const isolationRule = (range: string): SecurityRule =>
  inbound({
    name: 'deny-shared-network',
    priority: 4000,
    access: 'Deny',
    protocol: '*',
    sourceAddressPrefix: range,
    destinationPortRange: '*',
  })

const securityGroup = (decision: Decision): NetworkSecurityGroup => ({
  location: decision.location,
  tags: decision.tags,
  securityRules: [
    ...rulesFor(decision),
    ...(decision.host.network === undefined ? [] : [isolationRule(rangeOf(decision.host.network))]),
  ],
})

/** Returns a public address. A Standard address is static: it is kept while the host is stopped. */
const publicAddress = ({ location, tags, options: { dnsLabel } }: Decision): PublicIPAddress => ({
  location,
  tags,
  sku: { name: 'Standard' },
  publicIPAllocationMethod: 'Static',
  publicIPAddressVersion: 'IPv4',
  ...(dnsLabel !== undefined && { dnsSettings: { domainNameLabel: dnsLabel } }),
})

const virtualNetwork = ({ location, tags }: Decision): VirtualNetwork => ({
  location,
  tags,
  addressSpace: { addressPrefixes: ['10.0.0.0/24'] },
  subnets: [{ name: 'hosts', addressPrefix: '10.0.0.0/24' }],
})

/** IDs of the resources that a network interface refers to. */
interface InterfaceResources {
  readonly securityGroup: string
  readonly publicAddress: string | undefined
  readonly subnet: string
}

const networkInterface = (
  { location, tags, size, options: { acceleratedNetworking } }: Decision,
  joined: InterfaceResources,
): NetworkInterface => ({
  location,
  tags,
  enableAcceleratedNetworking: acceleratedNetworking ?? size.acceleratedNetworking,
  networkSecurityGroup: { id: joined.securityGroup },
  ipConfigurations: [
    {
      name: 'primary',
      primary: true,
      privateIPAllocationMethod: 'Dynamic',
      subnet: { id: joined.subnet },
      ...(joined.publicAddress !== undefined && {
        publicIPAddress: { id: joined.publicAddress, deleteOption: 'Delete' },
      }),
    },
  ],
})

const idOf = ({ id }: { id?: string | undefined }): string => {
  if (id === undefined) throw new TypeError('Azure created a resource without an ID')
  return id
}

const networkOf = (subnet: string): string => subnet.toLowerCase().replace(/\/subnets\/.*/, '')

/**
 * Deletes the network interface if an earlier attempt created it in another virtual network,
 * because an interface cannot move to another network
 * (https://learn.microsoft.com/azure/virtual-network/virtual-network-network-interface, "Change
 * subnet assignment").
 */
async function removeForeignInterface(
  { network, timeouts }: AzureApi,
  { host, isFirst }: Decision,
  subnet: string,
  call: Call,
): Promise<void> {
  if (isFirst) return
  const { group, names } = host
  const options = { abortSignal: call.signal }
  const found = await ignoreNotFound(
    network.networkInterfaces.get(group, names.networkInterface, options),
  )
  const joined = found?.ipConfigurations?.[0]?.subnet?.id
  if (joined === undefined || networkOf(joined) === networkOf(subnet)) return
  await retryWhileBusy(timeouts, call, step, async () =>
    network.networkInterfaces.beginDeleteAndWait(group, names.networkInterface, {
      ...options,
      updateIntervalInMs: timeouts.pollMs,
    }),
  )
}

/**
 * Returns the ID of a host's subnet, and creates the subnet if necessary: in the network that the host shares with
 * other hosts or, if there is none, in a separate network.
 */
async function ensureSubnet(
  api: AzureApi,
  decision: Decision,
  call: Call,
  how: { readonly isAgain?: boolean } = {},
): Promise<string> {
  const { location, tags } = decision
  const { group, names, network } = decision.host
  if (network !== undefined) return ensureSharedNetwork(api, { network, location, tags }, call, how)
  const options = { abortSignal: call.signal, updateIntervalInMs: api.timeouts.pollMs }
  const made = await retryWhileBusy(api.timeouts, call, step, () =>
    api.network.virtualNetworks.beginCreateOrUpdateAndWait(
      group,
      names.network,
      virtualNetwork(decision),
      options,
    ),
  )
  return `${idOf(made)}/subnets/hosts`
}

/** Creates a host's missing network resources. Returns the ID of the network interface. */
export async function createNetwork(
  api: AzureApi,
  decision: Decision,
  call: Call,
): Promise<string> {
  const { network, timeouts } = api
  const { group, names } = decision.host
  const options = { abortSignal: call.signal, updateIntervalInMs: timeouts.pollMs }
  call.progress(step)
  const make = async (put: () => Promise<{ id?: string | undefined }>): Promise<string> =>
    idOf(await retryWhileBusy(timeouts, call, step, put))

  const [securityGroupId, publicAddressId, firstSubnet] = await allSettled([
    make(() =>
      network.networkSecurityGroups.beginCreateOrUpdateAndWait(
        group,
        names.securityGroup,
        securityGroup(decision),
        options,
      ),
    ),
    decision.options.privateOnly
      ? undefined
      : make(() =>
          network.publicIPAddresses.beginCreateOrUpdateAndWait(
            group,
            names.publicAddress,
            publicAddress(decision),
            options,
          ),
        ),
    decision.subnet ?? ensureSubnet(api, decision, call),
  ])
  const joined = { securityGroup: securityGroupId, publicAddress: publicAddressId }
  let attempts = 0
  const join = async (): Promise<string> => {
    const isAgain = (attempts += 1) > 1
    const subnet = isAgain ? await ensureSubnet(api, decision, call, { isAgain }) : firstSubnet
    await removeForeignInterface(api, decision, subnet, call)
    return make(() =>
      network.networkInterfaces.beginCreateOrUpdateAndWait(
        group,
        names.networkInterface,
        networkInterface(decision, { ...joined, subnet }),
        options,
      ),
    )
  }
  if (decision.host.network === undefined) return join()
  // Another command may remove the network together with its last host while this host is being created.
  return retry(join, {
    ...{ canRetry: isNetworkGone, signal: call.signal },
    ...{ pauseMs: timeouts.pollMs, longestMs: timeouts.pollMs * 8, withinMs: timeouts.busyMs },
  })
}
