import { RunInstancesCommand } from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import type { HostSpec, DriverState } from '../../driver.ts'
import type { AwsOptions } from '../options.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure } from '../api/errors.ts'
import { checkGroups } from '../network/firewall.ts'
import { type InstanceType, findImage, findType } from './images.ts'
import { type Instance, findInstances, isAlive } from './instance.ts'
import { checkKeyPair } from './key-pair.ts'
import { type Attempt, type Market, type Order, clientToken, runInput } from './launch.ts'
import { type Place, findPlaces } from './placement.ts'
import { placesWithInternet } from '../network/routes.ts'
import { ofToken, parseTags } from '../tags.ts'

const markets: Readonly<Record<AwsOptions['spot'], readonly Market[]>> = {
  never: ['on-demand'],
  prefer: ['spot', 'on-demand'],
  only: ['spot'],
}

/** All ways to ask for the instance, beginning with the one that an earlier attempt noted. */
export function attemptsFor(
  spot: AwsOptions['spot'],
  places: readonly Place[],
  recorded: DriverState,
): readonly Attempt[] {
  const all = markets[spot].flatMap((market) => places.map((place) => ({ place, market })))
  const isRecorded = ({ place, market }: Attempt) =>
    place.subnet === recorded['subnet'] && market === recorded['market']
  return [...all.filter(isRecorded), ...all.filter((attempt) => !isRecorded(attempt))]
}

/** What an earlier attempt left: an instance that lives, or the count of those that died. */
export interface Earlier {
  readonly alive: Instance | undefined
  readonly launch: number
}

/**
 * Looks for what an earlier attempt launched. A client token whose instance is dead is used up, for EC2 would give that very
 * instance again. Only then is another one taken: an instance that is merely not seen yet may still come.
 */
export async function findEarlier(ec2: Ec2, { token, resources }: HostSpec): Promise<Earlier> {
  const launch = Number(resources['launch'] ?? 0)
  const { subnet = '', market = '' } = resources
  const instances = await findInstances(ec2, ofToken(token))
  const used = clientToken({ token, launch }, { subnet, market })
  const isUsedUp = instances.some((one) => !isAlive(one) && one.clientToken === used)
  return { alive: instances.find(isAlive), launch: isUsedUp ? launch + 1 : launch }
}

/** The group of a host is in one VPC, so the host is there too. */
function placesInOneVpc(places: readonly Place[], recorded: string | undefined): readonly Place[] {
  const vpc = recorded ?? places[0]?.vpc
  const within = places.filter((place) => place.vpc === vpc)
  if (within.length > 0) return within
  throw new UserError(
    'usage',
    `the creation was started in ${vpc}, but the options now name another VPC`,
    {
      hint: `use --vpc ${vpc}, or undo the creation first: fleet rm`,
    },
  )
}

/** The security groups that a person brings. */
const groupsOf = ({ securityGroups }: AwsOptions): readonly string[] =>
  securityGroups === undefined ? [] : securityGroups.split(',').map((id) => id.trim())

/** The tags of all that is made for a host. */
export const tagsFor = (
  { name, tags }: HostSpec,
  options: AwsOptions,
): Readonly<Record<string, string>> => ({
  Name: name,
  ...(options.tags !== undefined && parseTags(options.tags)),
  ...tags,
})

/** Asks EC2 whether it would, without doing it. The answer holds for all hosts that differ by name alone. */
async function rehearse(ec2: Ec2, order: Order, attempt: Attempt): Promise<void> {
  const input = { ...runInput(order, attempt), DryRun: true }
  const { TagSpecifications: _, ...question } = input
  await ec2.once(['dry run', question], async () => {
    await ec2.send(new RunInstancesCommand(input)).catch((error: unknown) => {
      if (!isFailure('DryRunOperation')(error)) throw error // the one error that means yes
    })
  })
}

/** What to launch, and the ways to ask for it, the first first. */
export interface Decision {
  readonly order: Order
  readonly attempts: readonly Attempt[]
  /** What it costs beyond what one would think. */
  readonly notes: readonly string[]
}

function checkCredits({ type, cpuCredits }: AwsOptions, { hasCredits }: InstanceType): void {
  if (cpuCredits === undefined || hasCredits) return
  throw new UserError('usage', `${type} has no CPU credits`, {
    hint: 'omit --cpu-credits, or use a T type: --type t3.small',
  })
}

/** T2 has standard credits unless told, all later T types unlimited ones (EC2 user guide, "Burstable performance instances"). */
function creditNotes({ type, cpuCredits }: AwsOptions, { hasCredits }: InstanceType): string[] {
  const credits = cpuCredits ?? (type.startsWith('t2.') ? 'standard' : 'unlimited')
  if (!hasCredits || credits === 'standard') return []
  return [
    `${type} has unlimited CPU credits: AWS charges for sustained load above its baseline; --cpu-credits standard throttles the host instead`,
  ]
}

/** Decides what was left open, and checks all of it with EC2. Throws kind `usage` for what cannot be had. */
export async function decide(
  ec2: Ec2,
  wish: HostSpec,
  options: AwsOptions,
  launch: number,
): Promise<Decision> {
  const { resources } = wish
  const asked = [
    findType(ec2, options.type),
    findPlaces(ec2, options),
    options.keyPair === undefined ? Promise.resolve() : checkKeyPair(ec2, options.keyPair),
  ] as const
  await Promise.allSettled(asked) // of several errors the first in this order says most: no place offers an unknown type
  const [type, places] = await Promise.all(asked)
  checkCredits(options, type)
  // The newest of a release may be another one by now; all attempts ask for the same.
  const chosen = resources['release'] === options.image ? resources['image'] : undefined
  const image = await findImage(
    ec2,
    { ...options, image: chosen ?? options.image },
    type.architecture,
  )
  const within = placesInOneVpc(places, resources['vpc'])
  const reached = options.privateOnly ? within : await placesWithInternet(ec2, options, within)
  const attempts = attemptsFor(options.spot, reached, resources)
  const [first] = attempts
  if (first === undefined) throw new TypeError('no place is left, though findPlaces found one')
  const groups = groupsOf(options)
  if (groups.length > 0) await checkGroups(ec2, groups, first.place.vpc)
  const order: Order = {
    token: wish.token,
    launch,
    tags: tagsFor(wish, options),
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
  await rehearse(ec2, order, first)
  return { order, attempts, notes: creditNotes(options, type) }
}
