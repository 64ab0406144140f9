import type { HostRecord, HostStatus } from '../../../machine/machine.ts'
import { parseCidrs } from '../../net/cidrs.ts'
import {
  type ImmutableOptions,
  compareDisk,
  compareImmutable,
  comparePorts,
  formatBoolean,
} from '../../differences.ts'
import type { Difference } from '../../update.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { findType } from '../create/images.ts'
import type { AwsOptions } from '../options.ts'
import { formatTags } from '../../tag-list.ts'
import { changedTags } from '../tags.ts'

/** The recorded and observed properties of a host. `observed` contains options as DescribeInstances reports them. */
interface Known {
  readonly host: HostRecord
  readonly resources: Readonly<Record<string, string>>
  readonly observed: Readonly<Record<string, string>>
}

/** Options that cannot change during an instance's lifetime, and how to read their current values. */
const immutable: ImmutableOptions<AwsOptions, Known> = {
  region: ({ resources }) => resources['region'],
  zone: ({ observed }) => observed['zone'],
  image: ({ resources: { release, image } }) => release ?? image,
  vpc: ({ observed }) => observed['vpc'],
  subnet: ({ observed }) => observed['subnet'],
  // A member of a swarm also has the group that fleet attached to it.
  securityGroups: ({ observed, resources }) =>
    observed['groups']
      ?.split(',')
      .filter((id) => id !== resources['peerGroup'])
      .join(','),
  instanceProfile: ({ observed }) => observed['instanceProfile'] ?? 'none',
  keyPair: ({ resources }) => resources['keyPair'],
  privateOnly: ({ resources: { access } }) => access && formatBoolean(access === 'private'),
  elasticIp: ({ resources }) => formatBoolean(resources['elasticIp'] !== undefined),
  user: ({ host }) => host.user,
}

const sorted = (list: string): string =>
  list
    .split(',')
    .map((one) => one.trim())
    .sort()
    .join(',')

/** Whether a value matches: a name can match an ARN, and an image ID can match a release. */
function isSame(option: string, wanted: string, current: string, { resources }: Known): boolean {
  if (wanted === current) return true
  if (option === 'securityGroups') return sorted(wanted) === sorted(current)
  if (option === 'instanceProfile') return current.endsWith(`/${wanted}`)
  return option === 'image' && wanted === resources['image']
}

/** Compares the CPU credits. If the option is not set, the credits are not changed. */
function compareCredits(
  { cpuCredits }: AwsOptions,
  { resources: { credits = 'default for the type' } }: Known,
): Difference[] {
  if (cpuCredits === undefined || cpuCredits === credits) return []
  return [{ option: 'cpuCredits', from: credits, to: cpuCredits, how: 'live' }]
}

function compareMarket({ spot }: AwsOptions, { resources: { market } }: Known): Difference[] {
  const fits = market === 'spot' ? spot !== 'never' : spot !== 'only'
  if (market === undefined || fits) return []
  return [{ option: 'spot', from: market, to: spot, how: 'replace' }]
}

/** Compares the instance type. Throws kind `usage` if it does not exist. */
async function compareType(
  ec2: Ec2,
  { type }: AwsOptions,
  { observed, resources }: Known,
): Promise<Difference[]> {
  const from = observed['type']
  if (from === undefined || from === type) return []
  const [{ architecture: before }, { architecture: after }] = await Promise.all([
    findType(ec2, from),
    findType(ec2, type),
  ])
  const difference = { option: 'type', from, to: type }
  if (before !== after) return [{ ...difference, how: 'replace', why: `${type} is ${after}` }]
  return resources['market'] === 'spot'
    ? [{ ...difference, how: 'replace', why: 'a spot instance cannot be stopped' }]
    : [{ ...difference, how: 'stop' }]
}

function compareTags({ tags = '' }: AwsOptions, { resources, observed }: Known): Difference[] {
  if (observed['tags'] === undefined) return []
  const now = JSON.parse(observed['tags']) as Record<string, string>
  const { set, removed } = changedTags(resources['tags'] ?? '', tags, now)
  const keys = [...Object.keys(set), ...removed]
  if (keys.length === 0) return []
  const held = Object.fromEntries(
    keys.flatMap((key) => (key in now ? [[key, now[key] ?? '']] : [])),
  )
  return [{ option: 'tags', from: formatTags(held), to: formatTags(set), how: 'live' }]
}

/**
 * Compares ingress rules. fleet changes only security groups that it created, so the rules of an
 * adopted host cannot change.
 */
function compareIngressRules(
  { ports, sshCidr, securityGroups }: AwsOptions,
  { host, resources }: Known,
): readonly Difference[] {
  const isAdopted = host.token === undefined
  const hasOwnGroup = securityGroups === undefined && resources['securityGroup'] !== undefined
  if (!hasOwnGroup && !isAdopted) return []
  const open = comparePorts(resources['ports'], ports)
  const recorded = resources['sshCidr'] ?? (resources['reach'] === undefined ? 'unknown' : 'none')
  const from = parseCidrs(recorded)?.join(',') ?? recorded
  const to = sshCidr && parseCidrs(sshCidr)?.join(',')
  const differences: readonly Difference[] =
    to === undefined || sorted(to) === sorted(from)
      ? open
      : [...open, { option: 'sshCidr', from, to, how: 'live' }]
  if (!isAdopted) return differences
  const why = 'fleet does not change a security group that it did not create'
  return differences.map((one) => ({ ...one, how: 'replace', why }))
}

/** Compares how SSH reaches the host. Only the record stores this, so changing it does not require a request. */
function compareReach({ reach: to = 'direct' }: AwsOptions, { resources }: Known): Difference[] {
  const { reach: from = 'direct' } = resources
  return from === to ? [] : [{ option: 'reach', from, to, how: 'live' }]
}

/** Compares the instance attributes that can be changed at any time. */
function compareAttributes(
  { terminationProtection, shutdownBehaviour }: AwsOptions,
  { resources }: Known,
): Difference[] {
  const isKept = resources['protection'] === 'fleet'
  const { shutdown = 'stop' } = resources
  return [
    ...(isKept === terminationProtection
      ? []
      : [
          {
            ...{ option: 'terminationProtection', how: 'live' as const },
            ...{ from: formatBoolean(isKept), to: formatBoolean(terminationProtection) },
          },
        ]),
    ...(shutdown === shutdownBehaviour
      ? []
      : [
          {
            ...{ option: 'shutdownBehaviour', how: 'live' as const },
            ...{ from: shutdown, to: shutdownBehaviour },
          },
        ]),
  ]
}

/** See `Update.compare`. Sends requests only if the type differs; hosts of the same type share these requests. */
export async function compareHost(
  ec2: Ec2,
  host: HostRecord,
  options: AwsOptions,
  { options: observed = {} }: HostStatus,
): Promise<readonly Difference[]> {
  const known = { host, resources: host.resources ?? {}, observed }
  return [
    ...compareImmutable(immutable, options, known, (...values) => isSame(...values, known)),
    ...compareMarket(options, known),
    ...(await compareType(ec2, options, known)),
    ...compareDisk(known.resources['disk'], options.disk, 'live'),
    ...compareTags(options, known),
    ...compareCredits(options, known),
    ...compareIngressRules(options, known),
    ...compareReach(options, known),
    ...compareAttributes(options, known),
  ]
}
