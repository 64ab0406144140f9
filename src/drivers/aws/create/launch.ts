import { createHash } from 'node:crypto'
import { RunInstancesCommand, type RunInstancesCommandInput } from '@aws-sdk/client-ec2'
import { retry, waitUntil } from '../api/retry.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure, isTransient } from '../api/errors.ts'
import type { Image } from './images.ts'
import { type Instance, findInstances, isAlive } from './instance.ts'
import type { Place } from './placement.ts'
import { ofToken, tagAll } from '../tags.ts'

export type Market = 'spot' | 'on-demand'

/** A subnet and market to request the instance in. */
export interface Attempt {
  readonly place: Place
  readonly market: Market
}

/** The instance to request, in any subnet. */
export interface Order {
  readonly token: string
  /**
   * Number of instances that were terminated during creation: EC2 returns a terminated instance for
   * its client token.
   */
  readonly launch: number
  readonly tags: Readonly<Record<string, string>>
  readonly image: Image
  readonly type: string
  readonly disk: number
  readonly groups: readonly string[]
  readonly keyPair: string | undefined
  readonly instanceProfile: string | undefined
  readonly cpuCredits: 'standard' | 'unlimited' | undefined
  readonly isPublic: boolean
  readonly terminationProtection: boolean
  readonly shutdownBehaviour: 'stop' | 'terminate'
  readonly userData: Uint8Array
}

/**
 * The idempotency token of a request, at most 64 characters. EC2 answers a repeated request with
 * the same instance.
 */
export const clientToken = (
  { token, launch }: Pick<Order, 'token' | 'launch'>,
  { subnet, market }: { readonly subnet: string; readonly market: string },
): string => createHash('sha256').update(`${token} ${launch} ${subnet} ${market}`).digest('hex')

const tokenOf = (order: Order, { place, market }: Attempt): string =>
  clientToken(order, { subnet: place.subnet, market })

const marketInput = (
  { market }: Attempt,
  order: Order,
): Pick<
  RunInstancesCommandInput,
  'InstanceMarketOptions' | 'DisableApiTermination' | 'InstanceInitiatedShutdownBehavior'
> =>
  market === 'spot'
    ? {
        InstanceMarketOptions: {
          MarketType: 'spot',
          SpotOptions: { SpotInstanceType: 'one-time', InstanceInterruptionBehavior: 'terminate' },
        },
      }
    : {
        DisableApiTermination: order.terminationProtection,
        InstanceInitiatedShutdownBehavior: order.shutdownBehaviour,
      }

const profileInput = (profile: string | undefined) =>
  profile !== undefined && {
    IamInstanceProfile: profile.startsWith('arn:') ? { Arn: profile } : { Name: profile },
  }

/** The input of RunInstances. */
export function runInput(order: Order, attempt: Attempt): RunInstancesCommandInput {
  const tagged = ['instance', 'volume', 'network-interface'] as const
  const { place, market } = attempt
  return {
    MinCount: 1,
    MaxCount: 1,
    ImageId: order.image.id,
    InstanceType: order.type as never,
    ...(order.keyPair !== undefined && { KeyName: order.keyPair }),
    ...profileInput(order.instanceProfile),
    ...(order.cpuCredits !== undefined && {
      CreditSpecification: { CpuCredits: order.cpuCredits },
    }),
    ...marketInput(attempt, order),
    NetworkInterfaces: [
      {
        DeviceIndex: 0,
        SubnetId: place.subnet,
        Groups: [...order.groups],
        DeleteOnTermination: true,
        ...(place.ipv4 && { AssociatePublicIpAddress: order.isPublic }),
      },
    ],
    BlockDeviceMappings: [
      {
        DeviceName: order.image.rootDevice,
        Ebs: {
          VolumeSize: order.disk,
          VolumeType: 'gp3',
          Encrypted: true,
          DeleteOnTermination: true,
        },
      },
    ],
    // A hop limit of 1 keeps containers away from the credentials of the host.
    MetadataOptions: {
      HttpTokens: 'required',
      HttpPutResponseHopLimit: 1,
      HttpEndpoint: 'enabled',
    },
    TagSpecifications: tagAll(
      order.tags,
      ...tagged,
      ...(market === 'spot' ? (['spot-instances-request'] as const) : []),
    ),
    UserData: Buffer.from(order.userData).toString('base64'),
  }
}

/** Errors that another subnet or the on-demand market may avoid. */
const hasNoRoom = isFailure(
  'InsufficientInstanceCapacity',
  'InsufficientHostCapacity',
  'InsufficientCapacity',
  'InsufficientFreeAddressesInSubnet',
  'UnfulfillableCapacity',
  'SpotMaxPriceTooLow',
  'MaxSpotInstanceCountExceeded',
  'Unsupported',
)

/** Errors for resources that were just created or checked, until EC2 knows them everywhere. */
const isNotKnownYet = isFailure('InvalidGroup.NotFound', 'InvalidKeyPair.NotFound')

const isWorthAnotherTry = (error: unknown) =>
  isNotKnownYet(error) || (isTransient(error) && !hasNoRoom(error))

async function run(ec2: Ec2, order: Order, attempt: Attempt): Promise<string> {
  const ask = new RunInstancesCommand({
    ...runInput(order, attempt),
    ClientToken: tokenOf(order, attempt),
  })
  const { Instances: [made] = [] } = await retry(ec2.call, isWorthAnotherTry, () =>
    ec2.sendOnce(ask),
  )
  return made?.InstanceId ?? ''
}

/** The instance with this token that is not terminated, if any. */
const findAlive = async (ec2: Ec2, token: string): Promise<Instance | undefined> =>
  (await findInstances(ec2, ofToken(token))).find(isAlive)

/** The instance of an earlier attempt whose request differed, for example in its user-data. */
const findGranted = (ec2: Ec2, order: Order, attempt: Attempt): Promise<string> =>
  waitUntil(ec2.call, 'instance', async () => {
    const filter = { Name: 'client-token', Values: [tokenOf(order, attempt)] }
    const [earlier] = await findInstances(ec2, filter)
    return earlier === undefined
      ? { still: 'the instance of an earlier attempt is not visible yet' }
      : { done: earlier.id }
  })

/**
 * Requests the instance, one attempt after the other until there is capacity, and returns its id.
 * `record` records each attempt before the request. A later run starts with the recorded attempt,
 * the only one that may have succeeded without a response, and gets the same instance.
 */
export async function launch(
  ec2: Ec2,
  order: Order,
  attempts: readonly Attempt[],
  record: (attempt: Attempt) => Promise<void>,
): Promise<string> {
  let refusal: unknown
  for (const attempt of attempts) {
    const { place, market } = attempt
    if (refusal !== undefined) {
      const alive = await findAlive(ec2, order.token)
      if (alive !== undefined) return alive.id
    }
    await record(attempt)
    ec2.call.progress('instance', `${order.type} ${market} in ${place.zone}`)
    try {
      return await run(ec2, order, attempt)
    } catch (error) {
      if (isFailure('IdempotentParameterMismatch')(error)) return findGranted(ec2, order, attempt)
      if (!hasNoRoom(error)) throw error
      refusal = error
    }
  }
  throw refusal
}
