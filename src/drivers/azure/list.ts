import type { GenericResourceExpanded, ResourceGroup } from '@azure/arm-resources'
import type { Call, FleetScope, FoundHost } from '../driver.ts'
import type { Account, AzureApi, OpenApi } from './azure-api.ts'
import { azureOptions } from './options.ts'
import { machineId, recordPlace } from './host-resources.ts'
import type { Environment } from './login.ts'
import { baseName, namesOf, ownGroupName } from './names.ts'
import { allSettled } from './patience.ts'
import { chooseAccount } from './plan.ts'

type Tagged = Pick<GenericResourceExpanded & ResourceGroup, 'id' | 'name' | 'type' | 'tags'>

/** What Azure calls a type, in words. */
const typeNames: Readonly<Record<string, string>> = {
  'microsoft.compute/virtualmachines': 'virtual machine',
  'microsoft.compute/disks': 'disk',
  'microsoft.network/networkinterfaces': 'network interface',
  'microsoft.network/publicipaddresses': 'public address',
  'microsoft.network/networksecuritygroups': 'security group',
  'microsoft.network/virtualnetworks': 'virtual network',
  'microsoft.resources/resourcegroups': 'resource group',
}

const describePart = ({ name, type = '' }: Tagged): string =>
  `${typeNames[type.toLowerCase()] ?? type} ${name}`

async function collect(pages: AsyncIterable<Tagged>): Promise<Tagged[]> {
  const found: Tagged[] = []
  for await (const resource of pages) found.push(resource)
  return found
}

const groupOf = ({ id = '' }: Tagged): string => /\/resourceGroups\/([^/]+)/i.exec(id)?.[1] ?? ''

function foundHost(account: Account, token: string, parts: readonly Tagged[]): FoundHost {
  const machine = parts.find(({ tags }) => tags?.['fleet:machine'])?.tags?.['fleet:machine'] ?? ''
  const base = baseName(machine, token)
  const [first] = parts
  const found = first === undefined ? '' : groupOf(first)
  const own = ownGroupName(base)
  const ownGroup = found.toLowerCase() === own.toLowerCase()
  const isPrivate = !parts.some(({ type = '' }) => /publicIPAddresses$/i.test(type))
  const group = ownGroup ? own : found
  const place = { account, group, ownGroup, isPrivate, names: namesOf(base) }
  const hasMachine = parts.some(({ type = '' }) => /virtualMachines$/i.test(type))
  return {
    token,
    machine,
    record: {
      phase: 'ready',
      token,
      ...(hasMachine && { id: machineId(place) }),
      resources: recordPlace(place),
    },
    parts: parts.map(describePart),
    tags: parts.find(({ tags }) => tags?.['fleet:token'] === token)?.tags ?? {},
  }
}

async function listIn(api: AzureApi, fleet: string, call: Call): Promise<FoundHost[]> {
  const options = {
    filter: `tagName eq 'fleet:id' and tagValue eq '${fleet}'`,
    abortSignal: call.signal,
  }
  const [groups, resources] = await allSettled([
    collect(api.resources.resourceGroups.list(options)),
    collect(api.resources.resources.list(options)),
  ])
  const byToken = new Map<string, Tagged[]>()
  for (const resource of [...groups, ...resources]) {
    const token = resource.tags?.['fleet:token']
    if (token === undefined) continue
    byToken.set(token, [...(byToken.get(token) ?? []), resource])
  }
  return [...byToken].map(([token, parts]) => foundHost(api.account, token, parts))
}

/** The accounts that a fleet's options lead to; without any, the one of the environment. */
async function accountsOf(
  { options }: FleetScope,
  env: Environment,
  call: Call,
): Promise<readonly Account[]> {
  const shape = azureOptions.partial()
  const accounts = new Map<string, Account>()
  for (const one of options.length > 0 ? options : [{}]) {
    const { cloud = 'public', tenant, subscription } = shape.parse(one)
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
  const accounts = await accountsOf(fleet, env, call)
  const found = await allSettled(
    accounts.map((account) => listIn(openApi(account, call), fleet.id, call)),
  )
  return found.flat()
}
