import { describe, expect, test } from 'vitest'
import {
  type Attempt,
  type LaunchSpec,
  clientToken,
  runInput,
} from '../../../../src/drivers/aws/create/launch.ts'
import { attemptsFor } from '../../../../src/drivers/aws/create/plan.ts'
import type { Placement } from '../../../../src/drivers/aws/create/placement.ts'

const placement = (letter: string): Placement => ({
  subnet: `subnet-${letter}`,
  vpc: 'vpc-1',
  zone: `eu-west-1${letter}`,
  ipv4: true,
  ipv6: false,
})
const [a, b] = [placement('a'), placement('b')]

const order: LaunchSpec = {
  token: '6d1c0a94-5a0e-4c5c-9d0c-6b8f7f2f3b11',
  launch: 0,
  tags: { Name: 'web-1', 'fleet:token': '6d1c0a94' },
  image: { id: 'ami-1', name: 'debian', rootDevice: '/dev/xvda' },
  type: 't3.small',
  disk: 20,
  groups: ['sg-1'],
  keyPair: 'fleet-1',
  instanceProfile: undefined,
  cpuCredits: undefined,
  isPublic: true,
  terminationProtection: true,
  shutdownBehaviour: 'terminate',
  userData: new TextEncoder().encode('#cloud-config\n'),
}
const onDemand: Attempt = { placement: a, market: 'on-demand' }

const attemptsOf = (spot: 'never' | 'prefer' | 'only', recorded = {}) =>
  attemptsFor(spot, [a, b], recorded).map(
    ({ placement: { zone }, market }) => `${market} ${zone.at(-1)}`,
  )

describe('attempts to launch an instance', () => {
  test('try the zones in order', () =>
    expect(attemptsOf('never')).toEqual(['on-demand a', 'on-demand b']))

  test('try spot instances in all zones first', () => {
    expect(attemptsOf('prefer')).toEqual(['spot a', 'spot b', 'on-demand a', 'on-demand b'])
    expect(attemptsOf('only')).toEqual(['spot a', 'spot b'])
  })

  test('start with the recorded attempt, which may have succeeded', () => {
    const recorded = { subnet: 'subnet-b', market: 'on-demand' }
    expect(attemptsOf('prefer', recorded)).toEqual([
      'on-demand b',
      'spot a',
      'spot b',
      'on-demand a',
    ])
  })
})

describe('the client token of an attempt', () => {
  const ways = ['subnet-a', 'subnet-b'].flatMap((subnet) =>
    ['spot', 'on-demand'].flatMap((market) =>
      [0, 1].map((launch) => clientToken({ ...order, launch }, { subnet, market })),
    ),
  )

  test('differs between attempts, and has a length that EC2 allows', () => {
    expect(new Set(ways).size).toBe(8)
    for (const token of ways) expect(token).toMatch(/^[\x21-\x7e]{1,64}$/)
  })

  test('is the same when the attempt is repeated', () => {
    expect(clientToken(order, { subnet: 'subnet-a', market: 'spot' })).toBe(ways[0])
  })
})

describe('the input of RunInstances', () => {
  test('requests one instance with an encrypted disk that is deleted with it, and requires IMDSv2', () => {
    expect(runInput(order, onDemand)).toMatchObject({
      MinCount: 1,
      MaxCount: 1,
      BlockDeviceMappings: [
        {
          DeviceName: '/dev/xvda',
          Ebs: { VolumeSize: 20, VolumeType: 'gp3', Encrypted: true, DeleteOnTermination: true },
        },
      ],
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
      NetworkInterfaces: [
        { SubnetId: 'subnet-a', Groups: ['sg-1'], AssociatePublicIpAddress: true },
      ],
      DisableApiTermination: true,
      InstanceInitiatedShutdownBehavior: 'terminate',
      UserData: Buffer.from('#cloud-config\n').toString('base64'),
    })
  })

  test('tags all resources that it creates', () => {
    const { TagSpecifications = [] } = runInput(order, onDemand)
    const types = TagSpecifications.map(({ ResourceType }) => ResourceType)
    expect(types).toEqual(['instance', 'volume', 'network-interface'])
    for (const { Tags } of TagSpecifications) {
      expect(Tags).toEqual(Object.entries(order.tags).map(([Key, Value]) => ({ Key, Value })))
    }
  })

  test('omits options that spot instances do not support', () => {
    const input = runInput(order, { placement: a, market: 'spot' })
    expect(input.InstanceMarketOptions?.MarketType).toBe('spot')
    expect(input).not.toHaveProperty('DisableApiTermination')
    expect(input).not.toHaveProperty('InstanceInitiatedShutdownBehavior')
    expect(input.TagSpecifications?.map(({ ResourceType }) => ResourceType)).toContain(
      'spot-instances-request',
    )
  })

  test('requests no public address for a private host or a subnet without IPv4', () => {
    const [hidden] = runInput({ ...order, isPublic: false }, onDemand).NetworkInterfaces ?? []
    expect(hidden?.AssociatePublicIpAddress).toBe(false)
    const [modern] =
      runInput(order, { ...onDemand, placement: { ...a, ipv4: false } }).NetworkInterfaces ?? []
    expect(modern).not.toHaveProperty('AssociatePublicIpAddress')
  })

  test.each([
    ['web', { Name: 'web' }],
    ['arn:aws:iam::1:instance-profile/web', { Arn: 'arn:aws:iam::1:instance-profile/web' }],
  ])('accepts the instance profile %s', (instanceProfile, asked) => {
    expect(runInput({ ...order, instanceProfile }, onDemand).IamInstanceProfile).toEqual(asked)
  })
})
