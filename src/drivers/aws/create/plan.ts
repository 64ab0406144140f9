import { RunInstancesCommand } from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import type { HostSpec, DriverState } from '../../driver.ts'
import type { AwsOptions } from '../options.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure } from '../api/errors.ts'
import { checkGroups } from '../network/security-groups.ts'
import { type InstanceType, findImage, findType } from './images.ts'
import { type Instance, findInstances, isAlive } from './instance.ts'
import { checkKeyPair } from './key-pair.ts'
import { type Attempt, type Market, type LaunchSpec, clientToken, runInput } from './launch.ts'
import { type Placement, findPlacements } from './placement.ts'
import { placementsWithInternet } from '../network/routes.ts'
import { byToken, parseTags } from '../tags.ts'

const markets: Readonly<Record<AwsOptions['spot'], readonly Market[]>> = {
  never: ['on-demand'],
  prefer: ['spot', 'on-demand'],
  only: ['spot'],
}

/** Returns all attempts, starting with the recorded one. */
export function attemptsFor(
  spot: AwsOptions['spot'],
  placements: readonly Placement[],
  recorded: DriverState,
): readonly Attempt[] {
  const all = markets[spot].flatMap((market) =>
    placements.map((placement) => ({ placement, market })),
  )
  const isRecorded = ({ placement, market }: Attempt) =>
    placement.subnet === recorded['subnet'] && market === recorded['market']
  return [...all.filter(isRecorded), ...all.filter((attempt) => !isRecorded(attempt))]
}

/** The result of earlier attempts: a live instance, or the number of launched instances that were terminated. */
export interface EarlierAttempt {
  readonly alive: Instance | undefined
  readonly launch: number
}

/**
 * Finds the instance of an earlier attempt. A new client token is used only if the instance requested with the recorded
 * token has been terminated, because EC2 would return that instance again for the same token. An instance that is not
 * visible yet may still appear.
 */
export async function findEarlier(
  ec2: Ec2,
  { token, resources }: HostSpec,
): Promise<EarlierAttempt> {
  const launch = Number(resources['launch'] ?? 0)
  const { subnet = '', market = '' } = resources
  const instances = await findInstances(ec2, byToken(token))
  const used = clientToken({ token, launch }, { subnet, market })
  const isUsedUp = instances.some((one) => !isAlive(one) && one.clientToken === used)
  return { alive: instances.find(isAlive), launch: isUsedUp ? launch + 1 : launch }
}

/** Limits the subnets to one VPC, because the host's security group belongs to a single VPC. */
function placementsInOneVpc(
  placements: readonly Placement[],
  recorded: string | undefined,
): readonly Placement[] {
  const vpc = recorded ?? placements[0]?.vpc
  const within = placements.filter((placement) => placement.vpc === vpc)
  if (within.length > 0) return within
  throw new UserError(
    'usage',
    `fleet started creating the machine in ${vpc}, but the options now specify another VPC`,
    {
      hint: `use --vpc ${vpc}, or remove the machine first: fleet rm NAME`,
    },
  )
}

/** Returns the user's own security groups. */
const groupsOf = ({ securityGroups }: AwsOptions): readonly string[] =>
  securityGroups === undefined ? [] : securityGroups.split(',').map((id) => id.trim())

/** Returns the tags for all of a host's resources. */
export const tagsFor = (
  { name, tags }: HostSpec,
  options: AwsOptions,
): Readonly<Record<string, string>> => ({
  Name: name,
  ...(options.tags !== undefined && parseTags(options.tags)),
  ...tags,
})

/** Checks a launch with a dry run. The result holds for all hosts whose requests differ only in their tags. */
async function dryRun(ec2: Ec2, launchSpec: LaunchSpec, attempt: Attempt): Promise<void> {
  const input = { ...runInput(launchSpec, attempt), DryRun: true }
  const { TagSpecifications: _, ...question } = input
  await ec2.cached(['dry run', question], async () => {
    await ec2.send(new RunInstancesCommand(input)).catch((error: unknown) => {
      if (!isFailure('DryRunOperation')(error)) throw error // EC2 reports a successful dry run as this error
    })
  })
}

/** What to launch, and the attempts to make, in order. */
export interface Decision {
  readonly launchSpec: LaunchSpec
  readonly attempts: readonly Attempt[]
  /** Notes on costs that the user might not expect. */
  readonly notes: readonly string[]
}

function checkCredits({ type, cpuCredits }: AwsOptions, { hasCredits }: InstanceType): void {
  if (cpuCredits === undefined || hasCredits) return
  throw new UserError('usage', `instance type ${type} has no CPU credits`, {
    hint: 'omit --cpu-credits, or use a burstable type, such as --type t3.small',
  })
}

/**
 * The default is standard for T2, and unlimited for later T types (EC2 user guide, "Burstable
 * performance instances").
 */
function creditNotes({ type, cpuCredits }: AwsOptions, { hasCredits }: InstanceType): string[] {
  const credits = cpuCredits ?? (type.startsWith('t2.') ? 'standard' : 'unlimited')
  if (!hasCredits || credits === 'standard') return []
  return [
    `${type} has unlimited CPU credits, so AWS charges extra for sustained load above the baseline; to throttle the host instead, use --cpu-credits standard`,
  ]
}

/** Makes all decisions and checks them with EC2. Throws kind `usage` for options that EC2 cannot satisfy. */
export async function decide(
  ec2: Ec2,
  spec: HostSpec,
  options: AwsOptions,
  launch: number,
): Promise<Decision> {
  const { resources } = spec
  const lookups = [
    findType(ec2, options.type),
    findPlacements(ec2, options),
    options.keyPair === undefined ? Promise.resolve() : checkKeyPair(ec2, options.keyPair),
  ] as const
  await Promise.allSettled(lookups) // report an unknown type first, because it also has no subnets
  const [type, placements] = await Promise.all(lookups)
  checkCredits(options, type)
  // The newest image of a release may have changed, but all attempts must request the same one.
  const chosen = resources['release'] === options.image ? resources['image'] : undefined
  const image = await findImage(
    ec2,
    { ...options, image: chosen ?? options.image },
    type.architecture,
  )
  const within = placementsInOneVpc(placements, resources['vpc'])
  const reachable = options.privateOnly
    ? within
    : await placementsWithInternet(ec2, options, within)
  const attempts = attemptsFor(options.spot, reachable, resources)
  const [first] = attempts
  if (first === undefined) throw new TypeError('no placement is available')
  const groups = groupsOf(options)
  if (groups.length > 0) await checkGroups(ec2, groups, first.placement.vpc)
  const launchSpec: LaunchSpec = {
    token: spec.token,
    launch,
    tags: tagsFor(spec, options),
    image,
    type: options.type,
    disk: options.disk,
    groups,
    keyPair: options.keyPair,
    instanceProfile: options.instanceProfile,
    cpuCredits: options.cpuCredits,
    isPublic: !options.privateOnly,
    terminationProtection: options.terminationProtection,
    shutdownBehaviour: options.shutdownBehaviour,
    userData: new Uint8Array(),
  }
  await dryRun(ec2, launchSpec, first)
  return { launchSpec, attempts, notes: creditNotes(options, type) }
}
