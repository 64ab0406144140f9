import type { GenericResourceExpanded, ResourceGroup } from '@azure/arm-resources'
import pLimit from 'p-limit'
import { messageWithHint } from '../../../errors.ts'
import type { Call, FleetScope, FoundHost } from '../../driver.ts'
import type { Account, AzureApi, OpenApi } from '../api/azure-api.ts'
import { explainError } from '../api/errors.ts'
import { azureOptions } from '../options.ts'
import { machineId, recordLocation } from '../create/host-location.ts'
import { baseName, namesOf, ownGroupName } from '../names.ts'
import { isUnusedPeerGroup, swarmTag } from '../network/peer-group.ts'
import { isUnusedNetwork, sharedNetworkOf, sharedTag } from '../network/shared-network.ts'
import { allSettled } from '../api/retry.ts'
import { chooseAccount } from '../create/plan.ts'
import { ignoreNotFound } from '../api/sdk-errors.ts'
import type { Environment } from '../../../os/environment.ts'

type Tagged = Pick<GenericResourceExpanded & ResourceGroup, 'id' | 'name' | 'type' | 'tags'> &
  Pick<GenericResourceExpanded, 'location'>

/** Display names of resource types. */
const typeNames: Readonly<Record<string, string>> = {
  'microsoft.compute/virtualmachines': 'virtual machine',
  'microsoft.compute/disks': 'disk',
  'microsoft.network/networkinterfaces': 'network interface',
  'microsoft.network/publicipaddresses': 'public address',
  'microsoft.network/networksecuritygroups': 'security group',
  'microsoft.network/virtualnetworks': 'virtual network',
  'microsoft.network/applicationsecuritygroups': 'application security group',
  'microsoft.resources/resourcegroups': 'resource group',
}

const describePart = ({ name, type = '' }: Tagged): string =>
  `${typeNames[type.toLowerCase()] ?? type} ${name}`

async function collect(pages: AsyncIterable<Tagged>): Promise<Tagged[]> {
  const found: Tagged[] = []
  for await (const resource of pages) found.push(resource)
  return found
}

const tagFilter = (fleet: string): string => `tagName eq 'fleet:id' and tagValue eq '${fleet}'`

/** Maximum number of concurrent list requests. */
const maxConcurrent = 8

const groupOf = ({ id = '' }: Tagged): string => /\/resourceGroups\/([^/]+)/i.exec(id)?.[1] ?? ''

/** Returns the group of a resource in lower case, because Azure returns some IDs with the group in upper case. */
const keyOfGroup = (resource: Tagged): string => groupOf(resource).toLowerCase()

function foundHost(account: Account, token: string, parts: readonly Tagged[]): FoundHost {
  const machine = parts.find(({ tags }) => tags?.['fleet:machine'])?.tags?.['fleet:machine'] ?? ''
  const base = baseName(machine, token)
  const [first] = parts
  const found = first === undefined ? '' : groupOf(first)
  const own = ownGroupName(base)
  const ownGroup = found.toLowerCase() === own.toLowerCase()
  const isPrivate = !parts.some(({ type = '' }) => /publicIPAddresses$/i.test(type))
  const group = ownGroup ? own : found
  const tags = parts.find((one) => one.tags?.['fleet:token'] === token)?.tags ?? {}
  const { location = '' } = parts.find((one) => one.location !== undefined) ?? {}
  // The host's network, which is removed together with the host if no other host uses it.
  const network = sharedNetworkOf(tags['fleet:id'] ?? '', location, ownGroup ? undefined : group)
  const place = { account, group, ownGroup, isPrivate, names: namesOf(base), network }
  const hasMachine = parts.some(({ type = '' }) => /virtualMachines$/i.test(type))
  return {
    token,
    machine,
    record: {
      phase: 'ready',
      token,
      ...(hasMachine && { id: machineId(place) }),
      resources: recordLocation(place),
    },
    parts: parts.map(describePart),
    tags,
  }
}

/**
 * Whether a resource is shared by hosts and belongs to none of them: it is their network, or the network's resource
 * group.
 */
const isShared = ({ tags }: Tagged): boolean => tags?.[sharedTag] !== undefined

/** Whether a resource is for the members of a swarm. */
const isPeerGroup = ({ type = '' }: Tagged): boolean => /applicationSecurityGroups$/i.test(type)

/** Returns the fields of a record that store an account. */
const recordAccount = ({ cloud, tenant, subscription }: Account) => ({
  ...(cloud !== 'public' && { cloud }),
  ...(tenant !== undefined && { tenant }),
  subscription,
})

/** Describes a swarm's application security group, given its parts; returns `undefined` while the group has members. */
async function foundPeerGroup(
  api: AzureApi,
  token: string,
  parts: readonly Tagged[],
  call: Call,
): Promise<FoundHost | undefined> {
  const { id = '', name = '', tags = {} } = parts.find(isPeerGroup) ?? {}
  if (!(await isUnusedPeerGroup(api, id, call))) return undefined
  const peerGroup = `${groupOf({ id })}/${name}`
  return {
    token,
    machine: tags[swarmTag] ?? name,
    record: { phase: 'ready', token, resources: { ...recordAccount(api.account), peerGroup } },
    parts: parts.map(describePart),
    tags,
  }
}

/** Describes a fleet's shared network, given its parts; returns `undefined` while hosts use the network. */
async function foundNetwork(
  api: AzureApi,
  token: string,
  parts: readonly Tagged[],
  call: Call,
): Promise<FoundHost | undefined> {
  const network = parts.find(({ type = '' }) => /virtualNetworks$/i.test(type))
  const [first] = parts
  const { name = '' } = network ?? first ?? {}
  const ref = { group: network === undefined ? name : groupOf(network), name }
  if (network !== undefined && !(await isUnusedNetwork(api, ref, call))) return undefined
  const resources = { ...recordAccount(api.account), network: `${ref.group}/${ref.name}` }
  return {
    token,
    machine: name,
    record: { phase: 'ready', token, resources },
    parts: parts.map(describePart),
    tags: first?.tags ?? {},
  }
}

/** Lists a fleet's resources. A list request with a tag filter omits the tags, so each group is listed to get them. */
async function listResources(
  { resources: client }: AzureApi,
  fleet: string,
  groups: readonly Tagged[],
  call: Call,
): Promise<Tagged[]> {
  const abortSignal = call.signal
  const filter = tagFilter(fleet)
  const found = await collect(client.resources.list({ filter, abortSignal }))
  const tagsOfGroup = new Map(groups.map(({ name = '', tags }) => [name.toLowerCase(), tags]))
  // Everything in a group that fleet created belongs to one host, and the group has that host's tags.
  const known = found.map((resource) => {
    // A swarm's application security group has different tags from the resource group that contains it.
    const ofGroup = isPeerGroup(resource) ? undefined : tagsOfGroup.get(keyOfGroup(resource))
    const tags = resource.tags ?? ofGroup
    return { ...resource, ...(tags && { tags }) }
  })
  const unknown = new Set(known.filter(({ tags }) => tags === undefined).map(keyOfGroup))
  const limit = pLimit(maxConcurrent)
  const listed = await allSettled(
    [...unknown].map((group) =>
      limit(() =>
        // The group may have been deleted in the meantime.
        ignoreNotFound(collect(client.resources.listByResourceGroup(group, { abortSignal }))),
      ),
    ),
  )
  return [
    ...known.filter((one) => one.tags !== undefined && !unknown.has(keyOfGroup(one))),
    ...listed.flatMap((all) => all ?? []).filter(({ tags }) => tags?.['fleet:id'] === fleet),
  ]
}

async function listIn(api: AzureApi, fleet: string, call: Call): Promise<FoundHost[]> {
  const options = { filter: tagFilter(fleet), abortSignal: call.signal }
  const groups = await collect(api.resources.resourceGroups.list(options))
  const resources = await listResources(api, fleet, groups, call)
  const byToken = new Map<string, Tagged[]>()
  for (const resource of [...groups, ...resources]) {
    const token = resource.tags?.['fleet:token']
    if (token === undefined) continue
    byToken.set(token, [...(byToken.get(token) ?? []), resource])
  }
  const found = await allSettled(
    [...byToken].map(([token, parts]) => {
      if (parts.some(isPeerGroup)) return foundPeerGroup(api, token, parts, call)
      if (parts.some(isShared)) return foundNetwork(api, token, parts, call)
      return foundHost(api.account, token, parts)
    }),
  )
  return found.filter((host) => host !== undefined)
}

/**
 * Schema of the options that identify an account. Unknown options are ignored: they may come from an older version of
 * fleet.
 */
const accountOptions = azureOptions
  .pick({ cloud: true, tenant: true, subscription: true })
  .partial()
  .strip()

/** Returns the accounts set in a fleet's options or, if there are no options, the environment's account. */
async function accountsOf(
  { options, onSkipped }: FleetScope,
  env: Environment,
  call: Call,
): Promise<readonly Account[]> {
  const accounts = new Map<string, Account>()
  for (const one of options.length > 0 ? options : [{}]) {
    const { success, data } = accountOptions.safeParse(one)
    if (!success) {
      onSkipped?.(
        `subscription ${String(one['subscription'])}`,
        'the cloud, tenant or subscription in the inventory is invalid',
      )
      continue
    }
    const { cloud = 'public', tenant, subscription } = data
    const account = await chooseAccount({ cloud, tenant, subscription }, env, call)
    accounts.set(JSON.stringify(account), account)
  }
  return [...accounts.values()]
}

/** See `Lifecycle.list`. */
export async function listHosts(
  openApi: OpenApi,
  env: Environment,
  fleet: FleetScope,
  call: Call,
): Promise<readonly FoundHost[]> {
  const listAccount = async (account: Account): Promise<readonly FoundHost[]> => {
    try {
      return await listIn(openApi(account, call), fleet.id, call)
    } catch (error) {
      call.signal.throwIfAborted()
      if (fleet.onSkipped === undefined) throw error
      const reason = messageWithHint(explainError(error, call.signal))
      fleet.onSkipped(`subscription ${account.subscription}`, reason)
      return []
    }
  }
  const accounts = await accountsOf(fleet, env, call)
  return (await allSettled(accounts.map(listAccount))).flat()
}
