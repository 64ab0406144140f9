import type { HostRecord } from '../../../machine/machine.ts'
import type { Call, DriverState } from '../../driver.ts'
import { parseCidrs } from '../../net/cidrs.ts'
import {
  type ImmutableOptions,
  compareDisk,
  compareImmutable,
  comparePorts,
  formatBoolean,
} from '../../differences.ts'
import type { Difference } from '../../update.ts'
import type { AzureApi } from '../api/azure-api.ts'
import type { AzureOptions } from '../options.ts'
import { parseResourceId, requireLocation } from '../create/host-location.ts'
import { ignoreNotFound } from '../api/sdk-errors.ts'
import { findSize } from '../create/sizes.ts'
import { formatTags } from '../../tag-list.ts'
import { changedTags } from '../tags.ts'
import { systemDiskOf } from '../create/virtual-machine.ts'

/**
 * Returns the options that must be recorded for later comparisons because no other field of the record contains them.
 */
export const recordOptions = (options: AzureOptions): DriverState => ({
  release: options.image,
  diskType: options.diskType,
  ...(options.zone !== undefined && { zone: options.zone }),
  ...(options.disk !== undefined && { disk: String(options.disk) }),
  ...(options.tags !== undefined && { tags: options.tags }),
  ...(options.ports !== undefined && { ports: options.ports }),
  ...(options.spot && { spot: 'yes' }),
  ...(options.securityType !== undefined && { securityType: options.securityType }),
  ...(options.encryptionAtHost !== undefined && {
    encryptionAtHost: formatBoolean(options.encryptionAtHost),
  }),
  ...(options.dnsLabel !== undefined && { dnsLabel: options.dnsLabel }),
  ...(options.managedIdentity !== undefined && { identity: options.managedIdentity }),
})

/** Options that cannot change during a virtual machine's lifetime, and how to read their current values. */
const immutable: ImmutableOptions<AzureOptions, DriverState> = {
  location: ({ location }) => location,
  zone: ({ zone = 'any' }) => zone,
  image: ({ release }) => release,
  diskType: ({ diskType }) => diskType,
  resourceGroup: ({ group }) => group,
  subnet: ({ subnet, network }) => subnet ?? (network === undefined ? 'its own' : 'shared'),
  privateOnly: ({ access }) => formatBoolean(access === 'private'),
  dnsLabel: ({ dnsLabel = 'none' }) => dnsLabel,
  spot: ({ spot = 'no' }) => spot,
  securityType: ({ securityType = "Azure's default" }) => securityType,
  managedIdentity: ({ identity = 'none' }) => identity,
  user: ({ user }) => user,
  subscription: ({ subscription }) => subscription,
  cloud: ({ cloud = 'public' }) => cloud,
}

/**
 * Whether two values match. Azure does not preserve the case of names. A subnet can be specified by the end of its ID.
 */
function isSame(option: string, wanted: string, current: string): boolean {
  const [a, b] = [wanted.toLowerCase(), current.toLowerCase()]
  if (a === b) return true
  if (option === 'location') return a.replaceAll(' ', '') === b.replaceAll(' ', '')
  const [subnet, network] = a.split('/').toReversed()
  return option === 'subnet' && b.endsWith(`/virtualnetworks/${network}/subnets/${subnet}`)
}

/** Compares the size. Throws kind `usage` if it does not exist. */
async function compareSize(
  api: AzureApi,
  { size, zone }: AzureOptions,
  { size: from, location = '', spot }: DriverState,
  call: Call,
): Promise<Difference[]> {
  if (from === undefined || from.toLowerCase() === size.toLowerCase()) return []
  const request = { location, zone, spot: spot === 'yes' }
  const { value: after } = await findSize(api, { ...request, size }, call)
  const { value: before } = await findSize(api, { ...request, size: from }, call)
  const difference = { option: 'size', from, to: after.name }
  return before.architecture === after.architecture
    ? [{ ...difference, how: 'stop' }]
    : [{ ...difference, how: 'replace', why: `${after.name} is ${after.architecture}` }]
}

function compareEncryption(
  { encryptionAtHost }: AzureOptions,
  { encryptionAtHost: from = 'no' }: DriverState,
): Difference[] {
  const to = encryptionAtHost === undefined ? from : formatBoolean(encryptionAtHost)
  return to === from ? [] : [{ option: 'encryptionAtHost', from, to, how: 'stop' }]
}

function compareTags({ tags = '' }: AzureOptions, resources: DriverState): Difference[] {
  const { set, removed } = changedTags(resources['tags'] ?? '', tags)
  if (Object.keys({ ...set, ...removed }).length === 0) return []
  return [
    { option: 'tags', from: resources['tags'] ?? 'none', to: tags || formatTags(set), how: 'live' },
  ]
}

function compareSecurityRules(
  { ports, sshCidr }: AzureOptions,
  resources: DriverState,
): readonly Difference[] {
  const open = comparePorts(resources['ports'], ports)
  const recorded = resources['sshCidr'] ?? 'the virtual network'
  const from = parseCidrs(recorded)?.join(',') ?? recorded
  const to = sshCidr && parseCidrs(sshCidr)?.join(',')
  return to && to !== from ? [...open, { option: 'sshCidr', from, to, how: 'live' }] : open
}

/** Compares how SSH reaches the host. Only the record stores this. */
function compareReach(
  { reach: to = 'direct', bastion }: AzureOptions,
  { reach: from = 'direct', bastion: recorded = '' }: DriverState,
): Difference[] {
  if (from !== to) return [{ option: 'reach', from, to, how: 'live' }]
  const { group, name } = parseResourceId(recorded)
  const current = bastion?.startsWith('/') ? recorded : `${group}/${name}`
  if (bastion === undefined || bastion.toLowerCase() === current.toLowerCase()) return []
  return [{ option: 'bastion', from: current, to: bastion, how: 'live' }]
}

const asReplacement = (difference: Difference, why: string): Difference => ({
  ...difference,
  ...{ how: 'replace', why },
})

/**
 * Adjusts the differences for a host that fleet did not create. Checks whether the host's disk can grow before the host
 * is stopped for the change. The host's security group may be shared with other hosts, so fleet does not change the
 * group.
 */
async function compareAdopted(
  api: AzureApi,
  host: HostRecord,
  differences: readonly Difference[],
  call: Call,
): Promise<readonly Difference[]> {
  const network = differences.map((one) =>
    one.option === 'ports' || one.option === 'sshCidr'
      ? asReplacement(one, 'fleet does not change a security group that it did not create')
      : one,
  )
  if (!network.some(({ option, how }) => option === 'disk' && how === 'stop')) return network
  const { group, names } = requireLocation(host)
  const asking = { abortSignal: call.signal }
  const machine = await ignoreNotFound(
    api.compute.virtualMachines.get(group, names.machine, asking),
  )
  if (machine === undefined || systemDiskOf(machine) !== undefined) return network
  return network.map((one) =>
    one.option === 'disk'
      ? asReplacement(one, 'the OS disk is ephemeral or not managed by Azure')
      : one,
  )
}

/** See `Update.compare`. Compares with the record; sends requests only if the size differs. */
export async function compareHost(
  api: AzureApi,
  host: HostRecord,
  options: AzureOptions,
  call: Call,
): Promise<readonly Difference[]> {
  const { resources = {}, user } = host
  const differences = [
    ...compareImmutable(
      immutable,
      options,
      { ...resources, ...(user !== undefined && { user }) },
      isSame,
    ),
    ...(await compareSize(api, options, resources, call)),
    ...(options.disk === undefined ? [] : compareDisk(resources['disk'], options.disk, 'stop')),
    ...compareEncryption(options, resources),
    ...compareTags(options, resources),
    ...compareReach(options, resources),
    ...compareSecurityRules(options, resources),
  ]
  return host.token === undefined ? compareAdopted(api, host, differences, call) : differences
}
