import { shellQuote } from '../../../os/shell-quote.ts'
import type { BastionHost } from '@azure/arm-network'
import type { Call, DriverState } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { ignoreForbidden, ignoreNotFound, usageError } from '../api/sdk-errors.ts'
import { parseResourceId } from '../create/host-location.ts'

/** How long a result is cached, in milliseconds: hosts that are created together need the same results. */
const maxAge = 5000

/** Returns the ID of a subnet's virtual network. */
const networkOf = (subnet: string): string => subnet.replace(/\/subnets\/[^/]*$/i, '')

/**
 * Returns the IDs, in lower case, of the networks whose Bastions reach hosts in `network`: `network` itself, followed
 * by the networks peered with it.
 */
async function reachableFrom(
  api: AzureApi,
  network: string,
  call: Call,
): Promise<readonly string[]> {
  const { group, name } = parseResourceId(network)
  const ask = () => api.network.virtualNetworks.get(group, name, { abortSignal: call.signal })
  const found = await ignoreForbidden(
    ignoreNotFound(api.cached(`network ${group}/${name}`, ask, maxAge)),
  )
  const peers = (found?.virtualNetworkPeerings ?? []).flatMap(
    ({ remoteVirtualNetwork }) => remoteVirtualNetwork?.id ?? [],
  )
  return [network, ...peers].map((id) => id.toLowerCase())
}

/** Returns the ID, in lower case, of the network that contains a Bastion. */
const homeOf = ({ ipConfigurations = [], virtualNetwork }: BastionHost): string | undefined =>
  (
    ipConfigurations[0]?.subnet?.id?.replace(/\/subnets\/[^/]*$/i, '') ?? virtualNetwork?.id
  )?.toLowerCase()

/** SKUs that support native clients. The other SKUs support only the portal. */
const withTunnels = new Set(['standard', 'premium'])

/** Throws kind `usage` unless a Bastion allows native clients, such as the Azure CLI. */
function checkTunneling({ id, name, sku, enableTunneling }: BastionHost): void {
  const { group } = parseResourceId(id)
  const [, subscription = ''] = /^\/subscriptions\/([^/]+)/i.exec(id ?? '') ?? []
  const isAble = withTunnels.has(sku?.name?.toLowerCase() ?? '')
  if (isAble && enableTunneling === true) return
  throw usageError(
    isAble
      ? `the Bastion ${name} does not allow native clients`
      : `the Bastion ${name} has the ${sku?.name} SKU, which does not allow native clients`,
    `run: az network bastion update --name ${shellQuote(name ?? '')} --resource-group ${shellQuote(group)} --subscription ${shellQuote(subscription)} --enable-tunneling true${isAble ? '' : ' --sku Standard'}`,
  )
}

/**
 * Returns the ID of a Bastion that the login lacks permission to read. If the ID is wrong, the Azure CLI reports that
 * later.
 */
function uncheckedId({ account }: AzureApi, { group, name }: { group: string; name: string }) {
  return `/subscriptions/${account.subscription}/resourceGroups/${group}/providers/Microsoft.Network/bastionHosts/${name}`
}

/**
 * Finds the Bastion that the user chose: GROUP/NAME or an ID, which may be in another subscription. Returns the
 * Bastion's ID.
 */
async function findChosen(api: AzureApi, wanted: string, call: Call): Promise<string> {
  if (wanted.startsWith('/')) {
    const [, subscription = ''] = /^\/subscriptions\/([^/]+)/i.exec(wanted) ?? []
    if (subscription.toLowerCase() !== api.account.subscription.toLowerCase()) return wanted
  }
  const [byName = '', name = ''] = wanted.split('/')
  const ref = wanted.startsWith('/') ? parseResourceId(wanted) : { group: byName, name }
  const ask = async () =>
    (await ignoreNotFound(
      api.network.bastionHosts.get(ref.group, ref.name, { abortSignal: call.signal }),
    )) ?? 'missing'
  const found = await ignoreForbidden(
    api.cached(`bastion ${ref.group}/${ref.name}`.toLowerCase(), ask, maxAge),
  )
  if (found === 'missing') {
    throw usageError(
      `there is no Bastion ${ref.name} in the resource group ${ref.group}`,
      'check --bastion; to list the Bastions: az network bastion list --output table',
    )
  }
  if (found !== undefined) checkTunneling(found)
  return found?.id ?? uncheckedId(api, ref)
}

/**
 * Finds the only Bastion in a network or, if there is none, in the networks peered with it. Returns the Bastion's ID.
 */
async function findNearest(api: AzureApi, network: string, call: Call): Promise<string> {
  const list = async () => {
    const all: BastionHost[] = []
    for await (const one of api.network.bastionHosts.list({ abortSignal: call.signal })) {
      all.push(one)
    }
    return all
  }
  const [networks, all] = await Promise.all([
    reachableFrom(api, network, call),
    ignoreForbidden(api.cached('bastions', list, maxAge)),
  ])
  const { name } = parseResourceId(network)
  if (all === undefined) {
    throw usageError(
      "your login cannot list the subscription's Bastions",
      'specify a Bastion: --bastion GROUP/NAME',
    )
  }
  const inNetwork = (id: string) => all.filter((one) => homeOf(one) === id)
  const [own = [], ...peers] = networks.map(inNetwork)
  const candidates = own.length > 0 ? own : peers.flat()
  const [bastion, another] = candidates
  if (bastion === undefined) {
    throw usageError(
      `there is no Bastion in the virtual network ${name} or in a peered network`,
      'create a Bastion (az network bastion create), or specify a Bastion in another network: --bastion GROUP/NAME',
    )
  }
  if (another !== undefined) {
    const names = candidates.map(({ id }) => {
      const { group, name } = parseResourceId(id)
      return `${group}/${name}`
    })
    throw usageError(
      `the virtual network ${name} can use several Bastions: ${names.join(', ')}`,
      'choose a Bastion with --bastion',
    )
  }
  checkTunneling(bastion)
  return bastion.id ?? ''
}

/** Returns the fields of a record for a host that fleet reaches through a Bastion. */
export const recordBastion = (bastion: string | undefined): DriverState =>
  bastion === undefined ? {} : { reach: 'bastion', bastion }

/**
 * Finds the Bastion that reaches the hosts of a subnet, and checks that it allows native clients. Returns the Bastion's
 * ID. Throws kind `usage`.
 *
 * @param wanted `GROUP/NAME` or an ID; if absent, the Bastion of the subnet's network
 */
export const findBastion = (
  api: AzureApi,
  wanted: string | undefined,
  subnet: string,
  call: Call,
): Promise<string> =>
  wanted === undefined ? findNearest(api, networkOf(subnet), call) : findChosen(api, wanted, call)
