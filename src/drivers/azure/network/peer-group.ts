import { createHash } from 'node:crypto'
import type {
  ApplicationSecurityGroup,
  NetworkInterface,
  NetworkSecurityGroup,
  SecurityRule,
} from '@azure/arm-network'
import type { HostRecord } from '../../../machine/machine.ts'
import type { MachineName } from '../../../machine/name.ts'
import { ignored } from '../../../os/trace.ts'
import type { Call, DriverState } from '../../driver.ts'
import type { PeerGroup, PeerState } from '../../net/peer-access.ts'
import { nameOfRange } from '../../net/ports.ts'
import { checkOwnedBy } from '../../ownership.ts'
import type { AzureApi, OpenApi } from '../api/azure-api.ts'
import { allSettled, retryWhileBusy } from '../api/retry.ts'
import { azureErrorCode, ignoreNotFound } from '../api/sdk-errors.ts'
import {
  type HostLocation,
  type ResourceRef,
  parseResourceId,
  readLocation,
  requireLocation,
} from '../create/host-location.ts'
import { removeEmptyGroup, sharedNetworkOf, sharedTag } from './shared-network.ts'

/** Key of the tag that contains the name of the swarm that an application security group is for. */
export const swarmTag = 'fleet:swarm'

const step = 'open ports between members'

/** The lowest priority number of fleet's rules for swarms; other rules can have lower and higher numbers. */
const firstPriority = 300

const keyOf = ({ group, name }: ResourceRef): string => `${group}/${name}`.toLowerCase()

const same = (a: string | undefined, b: string | undefined): boolean =>
  a !== undefined && a.toLowerCase() === b?.toLowerCase()

/** Returns the ID of the virtual network that an interface is in. */
const networkOf = ({ ipConfigurations = [] }: NetworkInterface): string =>
  (ipConfigurations[0]?.subnet?.id ?? '').replace(/\/subnets\/[^/]*$/i, '')

/**
 * Returns a swarm's application security group in a virtual network: all members of such a group must be in the same
 * network (https://learn.microsoft.com/azure/virtual-network/application-security-groups).
 */
function groupIn(
  network: string,
  { fleet, name }: PeerGroup,
  { group, ownGroup }: HostLocation,
  { location = '' }: DriverState,
): ResourceRef {
  const digest = createHash('sha256').update(network.toLowerCase()).digest('hex').slice(0, 8)
  const shared = sharedNetworkOf(fleet, location, ownGroup ? undefined : group)
  return { group: shared.group, name: `fleet-${fleet}-${name}-${digest}` }
}

const idOf = ({ account }: AzureApi, { group, name }: ResourceRef): string =>
  `/subscriptions/${account.subscription}/resourceGroups/${group}/providers/Microsoft.Network/applicationSecurityGroups/${name}`

/**
 * Returns a swarm's rules in a member's security group. Their source and destination is the application security group.
 */
const rulesFor = (id: string, { name, ports }: PeerGroup): SecurityRule[] =>
  ports.map((range, index) => ({
    name: `swarm-${name}-${range.from}-${range.protocol}`,
    priority: firstPriority + index,
    ...{ direction: 'Inbound', access: 'Allow' },
    protocol: range.protocol === 'udp' ? 'Udp' : 'Tcp',
    ...{ sourcePortRange: '*', destinationPortRange: nameOfRange(range).split('/')[0] ?? '' },
    sourceApplicationSecurityGroups: [{ id }],
    destinationApplicationSecurityGroups: [{ id }],
  }))

const isRule =
  (id: string, wanted: SecurityRule) =>
  (rule: SecurityRule): boolean =>
    same(rule.name, wanted.name) &&
    rule.access === 'Allow' &&
    rule.protocol?.toLowerCase() === wanted.protocol?.toLowerCase() &&
    rule.destinationPortRange === wanted.destinationPortRange &&
    [rule.sourceApplicationSecurityGroups, rule.destinationApplicationSecurityGroups].every(
      (groups = []) => groups.length === 1 && same(groups[0]?.id, id),
    )

const isMember = (nic: NetworkInterface, id: string): boolean =>
  (nic.ipConfigurations?.[0]?.applicationSecurityGroups ?? []).some((one) => same(one.id, id))

const pollOptions = ({ timeouts }: AzureApi, { signal }: Call) => ({
  ...{ abortSignal: signal, updateIntervalInMs: timeouts.pollMs },
})

/** Creates a swarm's group and the resource group that contains it, unless they already exist. */
async function ensureGroup(
  api: AzureApi,
  ref: ResourceRef,
  location: string,
  { tags }: PeerGroup,
  call: Call,
): Promise<void> {
  const options = pollOptions(api, call)
  const { applicationSecurityGroups } = api.network
  const put = () =>
    applicationSecurityGroups.beginCreateOrUpdateAndWait(
      ref.group,
      ref.name,
      { location, tags: { ...tags } },
      options,
    )
  await retryWhileBusy(api.timeouts, call, step, async () => {
    const found = await ignoreNotFound(applicationSecurityGroups.get(ref.group, ref.name, options))
    if (found !== undefined) return found
    return put().catch(async (error: unknown) => {
      if (azureErrorCode(error) !== 'ResourceGroupNotFound') throw error
      // The resource group is usually created with the shared network, but hosts in the user's own network have no
      // shared network.
      const { 'fleet:swarm': _swarm, ...rest } = tags
      await api.resources.resourceGroups.createOrUpdate(
        ref.group,
        { location, tags: { ...rest, [sharedTag]: 'swarms' } },
        options,
      )
      return put()
    })
  })
}

/** Reads a host's interface and security group. */
const readHost = (api: AzureApi, { group, names }: HostLocation, { signal }: Call) =>
  allSettled([
    api.network.networkInterfaces.get(group, names.networkInterface, { abortSignal: signal }),
    api.network.networkSecurityGroups.get(group, names.securityGroup, { abortSignal: signal }),
  ])

/** Writes the rules of a security group, with `change` applied to them. */
async function changeRules(
  api: AzureApi,
  { group, names }: HostLocation,
  change: (rules: readonly SecurityRule[]) => readonly SecurityRule[],
  call: Call,
): Promise<void> {
  const { networkSecurityGroups } = api.network
  const options = pollOptions(api, call)
  await retryWhileBusy(api.timeouts, call, step, async () => {
    const now = await networkSecurityGroups.get(group, names.securityGroup, options)
    const securityRules = [...change(now.securityRules ?? [])]
    const { location = '', tags } = now
    await networkSecurityGroups.beginCreateOrUpdateAndWait(
      group,
      names.securityGroup,
      { location, ...(tags && { tags }), securityRules },
      options,
    )
  })
}

/** Changes the application security groups in the first IP configuration of a host's interface. */
async function changeMembership(
  api: AzureApi,
  { group, names }: HostLocation,
  change: (groups: readonly ApplicationSecurityGroup[]) => readonly ApplicationSecurityGroup[],
  call: Call,
): Promise<void> {
  const { networkInterfaces } = api.network
  const options = pollOptions(api, call)
  await retryWhileBusy(api.timeouts, call, step, async () => {
    const now = await networkInterfaces.get(group, names.networkInterface, options)
    const [first = {}, ...others] = now.ipConfigurations ?? []
    const applicationSecurityGroups = [...change(first.applicationSecurityGroups ?? [])]
    await networkInterfaces.beginCreateOrUpdateAndWait(
      group,
      names.networkInterface,
      { ...now, ipConfigurations: [{ ...first, applicationSecurityGroups }, ...others] },
      options,
    )
  })
}

/** Returns a security group's rules together with a swarm's rules, whose priorities no other rule uses. */
function withRules(
  rules: readonly SecurityRule[],
  id: string,
  group: PeerGroup,
): readonly SecurityRule[] {
  const wanted = rulesFor(id, group)
  const others = rules.filter((rule) => !wanted.some(({ name }) => same(name, rule.name)))
  const taken = new Set(others.map(({ priority }) => priority))
  let priority = firstPriority - 1
  const placed = wanted.map((rule) => {
    do priority += 1
    while (taken.has(priority))
    return { ...rule, priority }
  })
  return [...others, ...placed]
}

/** Returns those of a swarm's rules that a security group lacks. */
const missingRules = (
  { securityRules = [] }: NetworkSecurityGroup,
  id: string,
  group: PeerGroup,
): readonly SecurityRule[] =>
  rulesFor(id, group).filter((wanted) => !securityRules.some(isRule(id, wanted)))

/** See `PeerAccess.open`. */
export async function joinPeerGroup(
  api: AzureApi,
  host: HostRecord,
  group: PeerGroup,
  record: (resources: DriverState) => Promise<void>,
  call: Call,
): Promise<void> {
  call.progress(step)
  const place = requireLocation(host)
  const [nic, firewall] = await readHost(api, place, call)
  checkOwnedBy(host.token, nic.tags, `the network interface ${nic.name}`)
  const { resources = {} } = host
  const ref = groupIn(networkOf(nic), group, place, resources)
  const id = idOf(api, ref)
  await ensureGroup(api, ref, nic.location ?? '', group, call)
  const named = `${ref.group}/${ref.name}`
  if (resources['peerGroup'] !== named) await record({ peerGroup: named })
  if (missingRules(firewall, id, group).length > 0) {
    await changeRules(api, place, (rules) => withRules(rules, id, group), call)
  }
  if (isMember(nic, id)) return
  await changeMembership(api, place, (groups) => [...groups, { id }], call)
}

/** Deletes the application security group of a swarm, unless it has members. */
export async function removeUnusedPeerGroup(
  api: AzureApi,
  { group, name }: ResourceRef,
  call: Call,
): Promise<void> {
  const options = pollOptions(api, call)
  const { applicationSecurityGroups } = api.network
  const found = await ignoreNotFound(applicationSecurityGroups.get(group, name, options))
  // Anyone who can edit the inventory can name any group, so only delete groups with fleet's tag.
  if (found !== undefined && found.tags?.[swarmTag] === undefined) return
  const removal = 'close ports between members'
  if (found !== undefined) {
    call.progress(removal)
    const isRemoved = await retryWhileBusy(api.timeouts, call, removal, async () => {
      try {
        await applicationSecurityGroups.beginDeleteAndWait(group, name, options)
        return true
      } catch (error) {
        // Other members, or their rules, still use the group.
        if (/InUse|CannotBeDeleted/.test(azureErrorCode(error) ?? '')) return false
        throw error
      }
    })
    if (!isRemoved) return
  }
  // The resource group is usually deleted with the shared network, but hosts in the user's own network have no
  // shared network.
  const shared = { group, name: group }
  await retryWhileBusy(api.timeouts, call, removal, () => removeEmptyGroup(api, shared, call))
}

/** See `PeerAccess.close`. */
export async function leavePeerGroup(
  api: AzureApi,
  host: HostRecord,
  group: PeerGroup,
  call: Call,
): Promise<Readonly<Record<string, string | undefined>>> {
  call.progress('close ports between members')
  const place = requireLocation(host)
  const [nic, { securityRules = [] }] = await readHost(api, place, call)
  checkOwnedBy(host.token, nic.tags, `the network interface ${nic.name}`)
  const ref = groupIn(networkOf(nic), group, place, host.resources ?? {})
  const id = idOf(api, ref)
  if (isMember(nic, id)) {
    const isOther = (one: ApplicationSecurityGroup) => !same(one.id, id)
    await changeMembership(api, place, (groups) => groups.filter(isOther), call)
  }
  const names = rulesFor(id, group).map(({ name }) => name)
  const isOwn = (rule: SecurityRule) => names.some((name) => same(name, rule.name))
  if (securityRules.some(isOwn)) {
    await changeRules(api, place, (rules) => rules.filter((rule) => !isOwn(rule)), call)
  }
  await removeUnusedPeerGroup(api, ref, call)
  return { peerGroup: undefined }
}

async function index<Item extends { id?: string | undefined }>(
  pages: AsyncIterable<Item>,
): Promise<ReadonlyMap<string, Item>> {
  const found = new Map<string, Item>()
  for await (const one of pages) found.set(keyOf(parseResourceId(one.id)), one)
  return found
}

/**
 * Returns whether a host is in the swarm's group, and what is missing for it to reach its peers;
 * `undefined` if its interface or its security group cannot be found.
 */
function stateOf(
  api: AzureApi,
  place: HostLocation,
  resources: DriverState,
  group: PeerGroup,
  known: {
    readonly nics: ReadonlyMap<string, NetworkInterface>
    readonly firewalls: ReadonlyMap<string, NetworkSecurityGroup>
  },
): PeerState | undefined {
  const nic = known.nics.get(keyOf({ group: place.group, name: place.names.networkInterface }))
  const firewall = known.firewalls.get(
    keyOf({ group: place.group, name: place.names.securityGroup }),
  )
  if (nic === undefined || firewall === undefined) return undefined
  const network = networkOf(nic)
  const ref = groupIn(network, group, place, resources)
  const id = idOf(api, ref)
  const state = { network: parseResourceId(network).name, isMember: isMember(nic, id) }
  if (!state.isMember) {
    return { ...state, missing: `the host is not in the application security group ${ref.name}` }
  }
  const lacking = missingRules(firewall, id, group).map(({ name = '' }) => name)
  if (lacking.length === 0) return state
  const rules = lacking.length === 1 ? 'rule' : 'rules'
  const missing = `the security group ${firewall.name} lacks the ${rules} ${lacking.join(', ')}`
  return { ...state, missing }
}

/** See `PeerAccess.observe`. Sends two list requests for each subscription. */
export async function observePeerGroup(
  openApi: OpenApi,
  hosts: ReadonlyMap<MachineName, HostRecord>,
  group: PeerGroup,
  call: Call,
): Promise<ReadonlyMap<MachineName, PeerState>> {
  const byAccount = new Map<string, { api: AzureApi; names: Map<MachineName, HostLocation> }>()
  for (const [name, host] of hosts) {
    const place = host.token === undefined ? undefined : readLocation(host)
    if (place === undefined) continue
    const key = JSON.stringify(place.account)
    const one = byAccount.get(key) ?? { api: openApi(place.account, call), names: new Map() }
    one.names.set(name, place)
    byAccount.set(key, one)
  }
  const states = new Map<MachineName, PeerState>()
  for (const { api, names } of byAccount.values()) {
    const options = { abortSignal: call.signal }
    const [nics, firewalls] = await allSettled([
      index(api.network.networkInterfaces.listAll(options)),
      index(api.network.networkSecurityGroups.listAll(options)),
    ])
    for (const [name, place] of names) {
      const resources = hosts.get(name)?.resources ?? {}
      const state = stateOf(api, place, resources, group, { nics, firewalls })
      if (state !== undefined) states.set(name, state)
    }
  }
  return states
}

/** Whether a group contains no network interfaces. A group that cannot be checked is assumed to be in use. */
export async function isUnusedPeerGroup(api: AzureApi, id: string, call: Call): Promise<boolean> {
  const listed = index(api.network.networkInterfaces.listAll({ abortSignal: call.signal }))
  const nics = await listed.catch(ignored('azure', 'find the swarm members', undefined))
  return nics !== undefined && ![...nics.values()].some((nic) => isMember(nic, id))
}
