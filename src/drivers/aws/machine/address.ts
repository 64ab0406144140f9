import {
  type Address,
  AllocateAddressCommand,
  AssociateAddressCommand,
  DescribeAddressesCommand,
} from '@aws-sdk/client-ec2'
import { retry } from '../api/retry.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure, isTransient } from '../api/errors.ts'
import { byToken, tagAll } from '../tags.ts'

async function addressOf(ec2: Ec2, token: string): Promise<Address | undefined> {
  const ask = new DescribeAddressesCommand({ Filters: [byToken(token)] })
  return (await ec2.send(ask)).Addresses?.[0]
}

/** Maximum time that EC2 takes to show a new address, in milliseconds. */
const maxLag = 5000

/** Finds the address that an earlier request may have allocated. */
async function findEarlier(ec2: Ec2, token: string): Promise<Address | undefined> {
  const absent = new Error('no address yet')
  const find = async (): Promise<Address> => {
    const found = await addressOf(ec2, token)
    if (found === undefined) throw absent
    return found
  }
  return retry(ec2.call, (error) => error === absent, find, maxLag).catch((error: unknown) => {
    if (error !== absent) throw error
    return undefined
  })
}

/**
 * Allocates a host's Elastic IP, unless it already exists. The request has no idempotency token, so sending it again
 * allocates another address. If it may already have been sent, the address is looked up by tag first.
 */
export async function ensureAddress(
  ec2: Ec2,
  {
    token,
    tags,
    isFirst,
  }: {
    readonly token: string
    readonly tags: Readonly<Record<string, string>>
    readonly isFirst: boolean
  },
): Promise<string> {
  let mayExist = !isFirst
  return retry(ec2.call, isTransient, async () => {
    const found = mayExist ? await findEarlier(ec2, token) : undefined
    if (found?.AllocationId !== undefined) return found.AllocationId
    mayExist = true
    const { AllocationId = '' } = await ec2.sendOnce(
      new AllocateAddressCommand({ Domain: 'vpc', TagSpecifications: tagAll(tags, 'elastic-ip') }),
    )
    return AllocationId
  })
}

/** Associates an Elastic IP with a running instance. */
export async function associateAddress(
  ec2: Ec2,
  allocation: string,
  instance: string,
): Promise<void> {
  const ask = new AssociateAddressCommand({ AllocationId: allocation, InstanceId: instance })
  await retry(
    ec2.call,
    isFailure(
      'InvalidAllocationID.NotFound',
      'InvalidInstanceID.NotFound',
      'IncorrectInstanceState',
      'IncorrectState',
    ),
    () => ec2.send(ask),
  )
}
