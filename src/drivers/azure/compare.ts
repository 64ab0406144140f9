import type { HostRecord } from '../../machine/machine.ts'
import type { Call, Resources } from '../driver.ts'
import { parseCidrs } from '../cidrs.ts'
import { sayPorts } from '../ports.ts'
import type { Difference } from '../reshape.ts'
import type { AzureApi } from './azure-api.ts'
import type { AzureOptions } from './options.ts'
import { findSize } from './sizes.ts'
import { sayTags, tagChange } from './tags.ts'

const yesOrNo = (is: boolean): string => (is ? 'yes' : 'no')

/** What a host was asked for, as far as its record does not say that already: for later comparisons. */
export const recordWishes = (options: AzureOptions): Resources => ({
  release: options.image,
  diskType: options.diskType,
  ...(options.zone !== undefined && { zone: options.zone }),
  ...(options.disk !== undefined && { disk: String(options.disk) }),
  ...(options.tags !== undefined && { tags: options.tags }),
  ...(options.ports !== undefined && { ports: options.ports }),
  ...(options.spot && { spot: 'yes' }),
  ...(options.dnsLabel !== undefined && { dnsLabel: options.dnsLabel }),
  ...(options.identity !== undefined && { identity: options.identity }),
})

type Read = (resources: Resources, host: HostRecord) => string | undefined

/** Options that a virtual machine keeps for its life, and what it has of them; nothing where that is not known. */
const lasting: Readonly<Partial<Record<keyof AzureOptions, Read>>> = {
  location: ({ location }) => location,
  zone: ({ zone = 'any' }) => zone,
  image: ({ release }) => release,
  diskType: ({ diskType }) => diskType,
  resourceGroup: ({ group }) => group,
  subnet: ({ subnet = 'its own' }) => subnet,
  privateOnly: ({ access }) => yesOrNo(access === 'private'),
  dnsLabel: ({ dnsLabel = 'none' }) => dnsLabel,
  spot: ({ spot = 'no' }) => spot,
  identity: ({ identity = 'none' }) => identity,
  user: (_resources, { user }) => user,
  subscription: ({ subscription }) => subscription,
  cloud: ({ cloud = 'public' }) => cloud,
}

/** Azure spells names as it likes; a subnet may be named by the end of its id. */
function isSame(option: string, wanted: string, has: string): boolean {
  const [a, b] = [wanted.toLowerCase(), has.toLowerCase()]
  if (a === b) return true
  if (option === 'location') return a.replaceAll(' ', '') === b.replaceAll(' ', '')
  const [subnet, network] = a.split('/').toReversed()
  return option === 'subnet' && b.endsWith(`/virtualnetworks/${network}/subnets/${subnet}`)
}

function compareLasting(options: AzureOptions, host: HostRecord): readonly Difference[] {
  return Object.entries(lasting).flatMap(([option, read]): Difference[] => {
    const value = options[option as keyof AzureOptions]
    const from = read(host.resources ?? {}, host)
    if (value === undefined || from === undefined) return []
    const to = typeof value === 'boolean' ? yesOrNo(value) : String(value)
    return isSame(option, to, from) ? [] : [{ option, from, to, how: 'replace' }]
  })
}

/** Throws kind `usage` where there is no such size. */
async function compareSize(
  api: AzureApi,
  { size, zone }: AzureOptions,
  { size: from, location = '', spot }: Resources,
  call: Call,
): Promise<Difference[]> {
  if (from === undefined || from.toLowerCase() === size.toLowerCase()) return []
  const wish = { location, zone, spot: spot === 'yes' }
  const after = await findSize(api, { ...wish, size }, call)
  const before = await findSize(api, { ...wish, size: from }, call)
  const difference = { option: 'size', from, to: after.name }
  return before.architecture === after.architecture
    ? [{ ...difference, how: 'stop' }]
    : [{ ...difference, how: 'replace', why: `${after.name} is ${after.architecture}` }]
}

function compareDisk({ disk }: AzureOptions, { disk: has }: Resources): Difference[] {
  if (disk === undefined || has === String(disk)) return []
  const difference = { option: 'disk', from: has ?? 'unknown', to: String(disk) }
  return has !== undefined && disk < Number(has)
    ? [{ ...difference, how: 'replace', why: 'a disk does not shrink' }]
    : [{ ...difference, how: 'stop' }]
}

function compareTags({ tags = '' }: AzureOptions, resources: Resources): Difference[] {
  const { set, gone } = tagChange(resources['tags'] ?? '', tags)
  if (Object.keys({ ...set, ...gone }).length === 0) return []
  return [
    { option: 'tags', from: resources['tags'] ?? 'none', to: tags || sayTags(set), how: 'live' },
  ]
}

function compareOpenings({ ports = '', sshCidr }: AzureOptions, resources: Resources) {
  const found: Difference[] = []
  const [had, wanted] = [sayPorts(resources['ports'] ?? ''), sayPorts(ports)]
  if (had !== wanted) found.push({ option: 'ports', from: had, to: wanted, how: 'live' })
  const from = resources['sshCidr'] ?? 'its network'
  const to = sshCidr && parseCidrs(sshCidr)?.join(',')
  if (to && to !== from) found.push({ option: 'sshCidr', from, to, how: 'live' })
  return found
}

/** See `Reshape.compare`: by what the record remembers. Only another size costs calls. */
export async function compareHost(
  api: AzureApi,
  host: HostRecord,
  options: AzureOptions,
  call: Call,
): Promise<readonly Difference[]> {
  const { resources = {} } = host
  return [
    ...compareLasting(options, host),
    ...(await compareSize(api, options, resources, call)),
    ...compareDisk(options, resources),
    ...compareTags(options, resources),
    ...compareOpenings(options, resources),
  ]
}
