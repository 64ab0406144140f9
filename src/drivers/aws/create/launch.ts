import { createHash } from 'node:crypto'
import { RunInstancesCommand, type RunInstancesCommandInput } from '@aws-sdk/client-ec2'
import { retry, waitUntil } from '../api/retry.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure, isTransient } from '../api/errors.ts'
import type { Image } from './images.ts'
import { type Instance, findInstances, isAlive } from './instance.ts'
import type { Placement } from './placement.ts'
import { byToken, tagAll } from '../tags.ts'

export type Market = 'spot' | 'on-demand'

/** A subnet and market to request the instance in. */
export interface Attempt {
  readonly placement: Placement
  readonly market: Market
}

/** The instance to request, without its subnet and market. */
export interface LaunchSpec {
  readonly token: string
  /**
   * Number of instances that were terminated during creation. It is part of the client token, because EC2 would return
   * the terminated instance if the token stayed the same.
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
 * Returns the client token (idempotency token) of a request, which can have at most 64 characters. EC2 answers a
 * repeated request with the same instance.
 */
export const clientToken = (
  { token, launch }: Pick<LaunchSpec, 'token' | 'launch'>,
  { subnet, market }: { readonly subnet: string; readonly market: string },
): string => createHash('sha256').update(`${token} ${launch} ${subnet} ${market}`).digest('hex')

const tokenOf = (launchSpec: LaunchSpec, { placement, market }: Attempt): string =>
  clientToken(launchSpec, { subnet: placement.subnet, market })

const marketInput = (
  { market }: Attempt,
  launchSpec: LaunchSpec,
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
        DisableApiTermination: launchSpec.terminationProtection,
        InstanceInitiatedShutdownBehavior: launchSpec.shutdownBehaviour,
      }

const profileInput = (profile: string | undefined) =>
  profile !== undefined && {
    IamInstanceProfile: profile.startsWith('arn:') ? { Arn: profile } : { Name: profile },
  }

/** Returns the input of RunInstances. */
export function runInput(launchSpec: LaunchSpec, attempt: Attempt): RunInstancesCommandInput {
  const tagged = ['instance', 'volume', 'network-interface'] as const
  const { placement, market } = attempt
  return {
    MinCount: 1,
    MaxCount: 1,
    ImageId: launchSpec.image.id,
    InstanceType: launchSpec.type as never,
    ...(launchSpec.keyPair !== undefined && { KeyName: launchSpec.keyPair }),
    ...profileInput(launchSpec.instanceProfile),
    ...(launchSpec.cpuCredits !== undefined && {
      CreditSpecification: { CpuCredits: launchSpec.cpuCredits },
    }),
    ...marketInput(attempt, launchSpec),
    NetworkInterfaces: [
      {
        DeviceIndex: 0,
        SubnetId: placement.subnet,
        Groups: [...launchSpec.groups],
        DeleteOnTermination: true,
        ...(placement.ipv4 && { AssociatePublicIpAddress: launchSpec.isPublic }),
      },
    ],
    BlockDeviceMappings: [
      {
        DeviceName: launchSpec.image.rootDevice,
        Ebs: {
          VolumeSize: launchSpec.disk,
          VolumeType: 'gp3',
          Encrypted: true,
          DeleteOnTermination: true,
        },
      },
    ],
    // A hop limit of 1 keeps containers away from the host's credentials.
    MetadataOptions: {
      HttpTokens: 'required',
      HttpPutResponseHopLimit: 1,
      HttpEndpoint: 'enabled',
    },
    TagSpecifications: tagAll(
      launchSpec.tags,
      ...tagged,
      ...(market === 'spot' ? (['spot-instances-request'] as const) : []),
    ),
    UserData: Buffer.from(launchSpec.userData).toString('base64'),
  }
}

/** Errors that another subnet or the on-demand market can avoid. */
const isCapacityError = isFailure(
  'InsufficientInstanceCapacity',
  'InsufficientHostCapacity',
  'InsufficientCapacity',
  'InsufficientFreeAddressesInSubnet',
  'UnfulfillableCapacity',
  'SpotMaxPriceTooLow',
  'MaxSpotInstanceCountExceeded',
  'Unsupported',
)

/** Errors for resources that exist but are not visible everywhere in EC2 yet. */
const isNotVisibleYet = isFailure('InvalidGroup.NotFound', 'InvalidKeyPair.NotFound')

const isRetryable = (error: unknown) =>
  isNotVisibleYet(error) || (isTransient(error) && !isCapacityError(error))

async function run(ec2: Ec2, launchSpec: LaunchSpec, attempt: Attempt): Promise<string> {
  const ask = new RunInstancesCommand({
    ...runInput(launchSpec, attempt),
    ClientToken: tokenOf(launchSpec, attempt),
  })
  const { Instances: [launched] = [] } = await retry(ec2.call, isRetryable, () => ec2.sendOnce(ask))
  return launched?.InstanceId ?? ''
}

/** Returns the instance that has this token and is not terminated, if any. */
const findAlive = async (ec2: Ec2, token: string): Promise<Instance | undefined> =>
  (await findInstances(ec2, byToken(token))).find(isAlive)

/**
 * Waits for the instance of an earlier attempt with a different request, for example different user-data, and returns
 * its ID.
 */
const findLaunched = (ec2: Ec2, launchSpec: LaunchSpec, attempt: Attempt): Promise<string> =>
  waitUntil(ec2.call, 'launch the instance', async () => {
    const filter = { Name: 'client-token', Values: [tokenOf(launchSpec, attempt)] }
    const [earlier] = await findInstances(ec2, filter)
    return earlier === undefined
      ? { pending: 'the instance from an earlier attempt is not visible yet' }
      : { done: earlier.id }
  })

/**
 * Requests the instance, trying the attempts in order until one finds capacity, and returns the instance's ID. `record`
 * records each attempt before its request is sent. A later run starts with the recorded attempt, because only that one
 * may have succeeded without a response, and gets the same instance.
 */
export async function launch(
  ec2: Ec2,
  launchSpec: LaunchSpec,
  attempts: readonly Attempt[],
  record: (attempt: Attempt) => Promise<void>,
): Promise<string> {
  let capacityError: unknown
  for (const attempt of attempts) {
    const { placement, market } = attempt
    if (capacityError !== undefined) {
      const alive = await findAlive(ec2, launchSpec.token)
      if (alive !== undefined) return alive.id
    }
    await record(attempt)
    ec2.call.progress('launch the instance', `${launchSpec.type} ${market} in ${placement.zone}`)
    try {
      return await run(ec2, launchSpec, attempt)
    } catch (error) {
      if (isFailure('IdempotentParameterMismatch')(error))
        return findLaunched(ec2, launchSpec, attempt)
      if (!isCapacityError(error)) throw error
      capacityError = error
    }
  }
  throw capacityError
}
