import { DescribeRegionsCommand, type Tag } from '@aws-sdk/client-ec2'
import pLimit from 'p-limit'
import type { Call, FleetScope, FoundHost, DriverState } from '../../driver.ts'
import { messageOf } from '../../../errors.ts'
import type { Account, Ec2, Ec2Api } from '../api/ec2-api.ts'
import { explainError, isFailure } from '../api/errors.ts'
import { isAlive } from '../create/instance.ts'
import { type HostResources, filterAllBy, findResources } from './resources.ts'
import { isPeerGroup, swarmOf, withoutMembers } from '../network/peer-groups.ts'
import { fallbackRegion } from '../regions.ts'
import { fleetTagsIn, tagOf } from '../tags.ts'
import { ignored } from '../../../os/trace.ts'

/** Maximum number of regions that are searched concurrently. */
const maxConcurrent = 8

/** A resource that was found, and the values that it contributes to its host's record. */
interface FoundResource {
  readonly tags: readonly Tag[] | undefined
  readonly description: string
  readonly id?: string
  readonly resources: DriverState
}

function listFound({
  instances,
  groups,
  keyPairs,
  addresses,
}: HostResources): readonly FoundResource[] {
  return [
    ...instances.filter(isAlive).map(({ id, state, tags }) => ({
      tags,
      id,
      description: `instance ${id} (${state})`,
      resources: {},
    })),
    ...groups.map(({ GroupId = '', ...group }) => ({
      tags: group.Tags,
      description: `security group ${GroupId}${isPeerGroup(group) ? ` of swarm ${swarmOf(group)}` : ''}`,
      resources: { securityGroup: GroupId },
    })),
    ...keyPairs.map(({ KeyName = '', Tags }) => ({
      tags: Tags,
      description: `key pair ${KeyName}`,
      resources: { keyPair: KeyName },
    })),
    ...addresses.map(({ AllocationId = '', PublicIp, Tags }) => ({
      tags: Tags,
      description: `Elastic IP ${PublicIp}`,
      resources: { elasticIp: AllocationId },
    })),
  ]
}

/** Groups resources by token. */
function hostsOf({ region, profile }: Ec2, parts: HostResources): readonly FoundHost[] {
  const account = { region, ...(profile !== undefined && { profile }) }
  const byToken = new Map<string, FoundResource[]>()
  for (const one of listFound(parts)) {
    const token = tagOf(one.tags, 'fleet:token')
    if (token !== undefined) byToken.set(token, [...(byToken.get(token) ?? []), one])
  }
  return [...byToken].map(([token, found]) => {
    const id = found.find((one) => one.id !== undefined)?.id
    return {
      token,
      machine: tagOf(found[0]?.tags, 'fleet:machine') ?? tagOf(found[0]?.tags, 'fleet:swarm') ?? '',
      record: {
        phase: 'ready',
        token,
        ...(id !== undefined && { id }),
        resources: Object.assign(
          {},
          account,
          ...found.map(({ resources }) => resources),
        ) as DriverState,
      },
      parts: found.map(({ description }) => `${description} in ${region}`),
      tags: fleetTagsIn(found[0]?.tags),
    }
  })
}

/** Errors that EC2 reports if an account lacks permission in a region. */
const isPermissionError = isFailure(
  'UnauthorizedOperation',
  'AuthFailure',
  'OptInRequired',
  'AccessDenied',
)

async function listRegion(
  ec2: Ec2,
  { id, onSkipped }: FleetScope,
  isNamed: boolean,
): Promise<readonly FoundHost[]> {
  const ofFleet = filterAllBy({ Name: 'tag:fleet:id', Values: [id] })
  try {
    const found = await findResources(ec2, ofFleet)
    const shared = found.groups.filter(isPeerGroup)
    const own = found.groups.filter((group) => !isPeerGroup(group))
    // A swarm's group does not belong to a single host, so it is listed only when it has no members.
    const groups = [...own, ...(await withoutMembers(ec2, shared))]
    return hostsOf(ec2, { ...found, groups })
  } catch (error) {
    ec2.call.signal.throwIfAborted()
    // Report a region only if the options name it, or if it failed for a reason other than missing permission.
    if (isNamed || !isPermissionError(error))
      onSkipped?.(ec2.region, messageOf(explainError(error, ec2)))
    return []
  }
}

/**
 * Lists a fleet's existing resources for each profile that its machines use: in the regions set in the machines'
 * options or, with `everywhere`, in all regions of the account. Regions that cannot be searched are reported and
 * skipped.
 */
export async function listHosts(
  api: Ec2Api,
  scope: FleetScope,
  call: Call,
): Promise<readonly FoundHost[]> {
  const { options, everywhere = false, onSkipped } = scope
  const values = (key: string) =>
    options.map((one) => one[key]).filter((one) => typeof one === 'string')
  const profiles = new Set(
    options.map(({ profile }) => (typeof profile === 'string' ? profile : undefined)),
  )
  if (profiles.size === 0) profiles.add(undefined)
  const limit = pLimit(maxConcurrent)
  const listRegions = async (account: Account): Promise<readonly string[]> => {
    try {
      const { Regions = [] } = await api.at(account, call).send(new DescribeRegionsCommand({}))
      return Regions.flatMap(({ RegionName }) => RegionName ?? [])
    } catch (error) {
      call.signal.throwIfAborted()
      onSkipped?.('the other regions', messageOf(explainError(error, account)))
      return []
    }
  }
  const listProfile = async (profile: string | undefined): Promise<readonly FoundHost[]> => {
    const named = new Set(values('region'))
    const startRegion =
      [...named][0] ??
      (await api
        .defaultRegion(profile)
        .catch(ignored('aws', 'determine the default region', fallbackRegion)))
    const others = everywhere ? await listRegions({ region: startRegion, profile }) : []
    const regions = new Set([...named, ...(named.size === 0 ? [startRegion] : []), ...others])
    const found = await Promise.all(
      [...regions].map((region) =>
        limit(() => listRegion(api.at({ region, profile }, call), scope, named.has(region))),
      ),
    )
    return found.flat()
  }
  const found = (await Promise.all([...profiles].map(listProfile))).flat()
  // Two profiles can belong to the same account.
  return [
    ...new Map(
      found.map((host) => [`${host.token} ${host.record.resources?.['region']}`, host]),
    ).values(),
  ]
}
