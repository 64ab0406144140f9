import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import { images } from '../../support/aws/ec2/images.ts'
import { type Tree, childOf, itemsOf, textOf } from '../../support/aws/http/xml.ts'
import { callEc2 } from '../../support/aws/http/ec2-client.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { until } from '../../support/lab/process.ts'
import { type Identity, makeKey } from '../../support/lab/ssh-key.ts'

type Words = Readonly<Record<string, string>>

const debian = images.find(({ name }) => name.startsWith('debian-13-amd64'))?.id ?? ''
const launchWords: Words = {
  ImageId: debian,
  InstanceType: 't3.small',
  MinCount: '1',
  MaxCount: '1',
}

/** Calls an EC2 action. Throws if it is refused. */
async function ok(aws: Aws, action: string, words: Words = {}): Promise<Tree> {
  const { code, body, tree } = await callEc2(aws, action, words)
  if (code !== undefined) throw new Error(body)
  return tree
}

const refused = async (aws: Aws, action: string, words: Words = {}) => {
  const { status, code } = await callEc2(aws, action, words)
  return `${status} ${code}`
}

async function launch(aws: Aws, words: Words = {}): Promise<string> {
  const answer = await ok(aws, 'RunInstances', { ...launchWords, ...words })
  return textOf(itemsOf(answer, 'instancesSet')[0], 'instanceId') ?? ''
}

/** Resolves to the instance as DescribeInstances shows it, or to undefined if it shows none. */
async function look(aws: Aws, id: string): Promise<Tree | undefined> {
  const { tree } = await callEc2(aws, 'DescribeInstances', { 'InstanceId.1': id })
  return itemsOf(itemsOf(tree, 'reservationSet')[0], 'instancesSet')[0]
}

const stateOf = (tree: Tree | undefined) => textOf(childOf(tree, 'instanceState'), 'name')
const reaches = (aws: Aws, id: string, state: string) =>
  until(`${id} to be ${state}`, async () => stateOf(await look(aws, id)) === state || undefined)
const addressOf = (aws: Aws, id: string) =>
  until(`an address of ${id}`, async () => textOf(await look(aws, id), 'ipAddress'))

describe.skipIf(!labIsHere)('the AWS rig', () => {
  let aws: Aws
  beforeAll(async () => {
    aws = await startAws()
  })
  afterEach(() => aws.reset())
  afterAll(() => aws[Symbol.asyncDispose]())

  test('has Debian and Ubuntu images of two dates and two architectures, by owner', async () => {
    for (const [owner, name, count] of [
      ['136693071363', 'debian-12-amd64-*', 2],
      ['136693071363', 'debian-13-arm64-*', 2],
      ['099720109477', 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*', 2],
      ['099720109477', 'ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*', 2],
      ['136693071363', 'ubuntu*', 0],
    ] as const) {
      const filter = { 'Filter.1.Name': 'name', 'Filter.1.Value.1': name }
      const answer = await ok(aws, 'DescribeImages', { 'Owner.1': owner, ...filter })
      const found = itemsOf(answer, 'imagesSet')
      expect(new Set(found.map((image) => image['creationDate'])).size).toBe(count)
      for (const image of found)
        expect(itemsOf(image, 'blockDeviceMapping')).toMatchObject([
          { deviceName: image['rootDeviceName'], ebs: { volumeSize: '8' } },
        ])
    }
  })

  test('shows an instance after a delay as pending, then running, then with an address', async () => {
    aws.change({ lags: { hidden: 1500, pending: 4000, address: 2500 } })
    const id = await launch(aws, { ClientToken: 'one' })
    expect(await refused(aws, 'DescribeInstances', { 'InstanceId.1': id })).toBe(
      '400 InvalidInstanceID.NotFound',
    )
    expect(itemsOf(await ok(aws, 'DescribeInstances'), 'reservationSet')).toEqual([])
    await reaches(aws, id, 'pending')
    expect(textOf(await look(aws, id), 'ipAddress')).toBeUndefined()
    await reaches(aws, id, 'running')
    expect(textOf(await look(aws, id), 'ipAddress')).toBeUndefined()
    const address = await addressOf(aws, id)
    expect(address).toMatch(/^127\.64\./)

    aws.change({
      lags: { hidden: 0, pending: 1000, address: 0, stopping: 1000, shuttingDown: 1000 },
    })
    const byToken = { 'Filter.1.Name': 'client-token', 'Filter.1.Value.1': 'one' }
    const found = await ok(aws, 'DescribeInstances', byToken)
    expect(itemsOf(found, 'reservationSet')).toHaveLength(1)
    const byOther = { ...byToken, 'Filter.1.Value.1': 'two' }
    expect(itemsOf(await ok(aws, 'DescribeInstances', byOther), 'reservationSet')).toEqual([])

    const words = { 'InstanceId.1': id }
    expect(await ok(aws, 'StopInstances', words)).toMatchObject({
      instancesSet: {
        item: [{ currentState: { name: 'stopping' }, previousState: { name: 'running' } }],
      },
    })
    expect(await refused(aws, 'StartInstances', words)).toBe('400 IncorrectInstanceState')
    const stopping = { 'Filter.1.Name': 'instance-state-name', 'Filter.1.Value.1': 'stopping' }
    expect(itemsOf(await ok(aws, 'DescribeInstances', stopping), 'reservationSet')).toHaveLength(1)
    await reaches(aws, id, 'stopped')
    await ok(aws, 'StartInstances', words)
    await ok(aws, 'StartInstances', words)
    expect(await refused(aws, 'StopInstances', words)).toBe('400 IncorrectInstanceState')
    expect(await addressOf(aws, id)).not.toBe(address)
    await ok(aws, 'RebootInstances', words)
    await ok(aws, 'TerminateInstances', words)
    expect(stateOf(await look(aws, id))).toBe('shutting-down')
    await reaches(aws, id, 'terminated')
    await ok(aws, 'TerminateInstances', words)
    expect(await refused(aws, 'StopInstances', words)).toBe('400 IncorrectInstanceState')
    expect((await aws.world()).instances).toEqual([])
    expect((await aws.world()).volumes).toEqual([])
  })

  test('returns the same instance for the same token, and refuses other parameters', async () => {
    const token = { ClientToken: 'same' }
    const both = await Promise.all([launch(aws, token), launch(aws, token)])
    expect(both[0]).toBe(both[1])
    expect(await launch(aws, token)).toBe(both[0])
    expect(
      await refused(aws, 'RunInstances', { ...launchWords, ...token, InstanceType: 't3.micro' }),
    ).toBe('400 IdempotentParameterMismatch')
    expect((await aws.world()).instances).toHaveLength(1)
    aws.change({ noCapacity: ['t3.micro'] })
    const other = { ClientToken: 'other', InstanceType: 't3.micro' }
    expect(await refused(aws, 'RunInstances', { ...launchWords, ...other })).toBe(
      '500 InsufficientInstanceCapacity',
    )
    aws.change({ noCapacity: [] })
    expect(await launch(aws, other)).not.toBe(both[0])
    await reaches(aws, both[0], 'running')
    await ok(aws, 'TerminateInstances', { 'InstanceId.1': both[0] })
    await reaches(aws, both[0], 'terminated')
    expect(await refused(aws, 'RunInstances', { ...launchWords, ...token })).toBe(
      '400 IdempotentInstanceTerminated',
    )
  })

  test('keeps a security group in use while an instance has it, and a moment longer', async () => {
    const answer = await ok(aws, 'CreateSecurityGroup', { GroupName: 'g', GroupDescription: 'g' })
    const group = textOf(answer, 'groupId') ?? ''
    expect(await refused(aws, 'DescribeSecurityGroups', { 'GroupId.1': group })).toBe(
      '400 InvalidGroup.NotFound',
    )
    expect(await refused(aws, 'RunInstances', { ...launchWords, 'SecurityGroupId.1': group })).toBe(
      '400 InvalidGroup.NotFound',
    )
    await until('the group to be found', async () => {
      const { code } = await callEc2(aws, 'DescribeSecurityGroups', { 'GroupId.1': group })
      return code === undefined || undefined
    })
    const id = await launch(aws, { 'SecurityGroupId.1': group })
    const gone = () => refused(aws, 'DeleteSecurityGroup', { GroupId: group })
    expect(await gone()).toBe('400 DependencyViolation')
    await reaches(aws, id, 'running')
    await ok(aws, 'TerminateInstances', { 'InstanceId.1': id })
    await reaches(aws, id, 'terminated')
    expect(await gone()).toBe('400 DependencyViolation')
    await until('the group to go', async () => (await gone()) === '200 undefined' || undefined)
    expect((await aws.world()).groups).toEqual([])
  })

  test('finds an Ed25519 key pair by name and ID, with the fingerprint of its blob', async () => {
    aws.change({ lags: { hidden: 2000 } })
    const folder = await mkdtemp(join(tmpdir(), 'keys-'))
    const { publicKey, fingerprint } = await makeKey(join(folder, 'k'), 'k')
    await rm(folder, { recursive: true })
    const words = {
      KeyName: 'k',
      PublicKeyMaterial: Buffer.from(publicKey).toString('base64'),
      'TagSpecification.1.ResourceType': 'key-pair',
      'TagSpecification.1.Tag.1.Key': 'fleet',
      'TagSpecification.1.Tag.1.Value': 'yes',
    }
    const id = textOf(await ok(aws, 'ImportKeyPair', words), 'keyPairId') ?? ''
    expect(await refused(aws, 'ImportKeyPair', words)).toBe('400 InvalidKeyPair.Duplicate')
    expect(await refused(aws, 'DescribeKeyPairs', { 'KeyName.1': 'k' })).toBe(
      '400 InvalidKeyPair.NotFound',
    )
    const found = await until('the key pair', async () => {
      const { tree } = await callEc2(aws, 'DescribeKeyPairs', {
        'Filter.1.Name': 'tag:fleet',
        'Filter.1.Value.1': 'yes',
      })
      return itemsOf(tree, 'keySet')[0]
    })
    expect(`SHA256:${textOf(found, 'keyFingerprint')?.replace(/=+$/, '')}`).toBe(fingerprint)
    expect(found).toMatchObject({ keyPairId: id, keyType: 'ed25519' })
    expect(await aws.world()).toMatchObject({ keyPairs: [{ name: 'k', tags: { fleet: 'yes' } }] })
    await ok(aws, 'DeleteKeyPair', { KeyPairId: id })
    await ok(aws, 'DeleteKeyPair', { KeyPairId: id })
    expect((await aws.world()).keyPairs).toEqual([])
    expect(await refused(aws, 'RunInstances', { ...launchWords, KeyName: 'k' })).toBe(
      '400 InvalidKeyPair.NotFound',
    )
  })

  test('associates an Elastic IP with an instance, and frees it when the instance is terminated', async () => {
    const id = await launch(aws)
    await reaches(aws, id, 'running')
    const first = await addressOf(aws, id)
    const allocated = await ok(aws, 'AllocateAddress', { Domain: 'vpc' })
    const allocation = textOf(allocated, 'allocationId') ?? ''
    const words = { AllocationId: allocation }
    expect(await refused(aws, 'AssociateAddress', { ...words, InstanceId: id })).toBe(
      '400 InvalidAllocationID.NotFound',
    )
    await until('the association', async () => {
      const { code } = await callEc2(aws, 'AssociateAddress', { ...words, InstanceId: id })
      return code === undefined || undefined
    })
    expect(await addressOf(aws, id)).toBe(allocated['publicIp'])
    expect(allocated['publicIp']).not.toBe(first)
    expect(await refused(aws, 'ReleaseAddress', words)).toBe('400 InvalidIPAddress.InUse')
    await ok(aws, 'TerminateInstances', { 'InstanceId.1': id })
    await ok(aws, 'ReleaseAddress', words)
    expect((await aws.world()).addresses).toEqual([])
  })

  test.each<[string, Words, string]>([
    ['an unknown image', { ImageId: 'ami-00000000000000000' }, '400 InvalidAMIID.NotFound'],
    ['no image', { ImageId: '' }, '400 MissingParameter'],
    ['an unknown instance type', { InstanceType: 't99.huge' }, '400 InvalidParameterValue'],
    [
      'an instance type of another architecture',
      { InstanceType: 't4g.small' },
      '400 InvalidParameterValue',
    ],
    ['an unknown zone', { 'Placement.AvailabilityZone': 'mars-1a' }, '400 InvalidParameterValue'],
    [
      'an unknown security group',
      { 'SecurityGroupId.1': 'sg-00000000' },
      '400 InvalidGroup.NotFound',
    ],
    ['an unknown subnet', { SubnetId: 'subnet-00000000' }, '400 InvalidSubnetID.NotFound'],
    ['an unknown key pair', { KeyName: 'nobody' }, '400 InvalidKeyPair.NotFound'],
    [
      'user-data that is too long',
      { UserData: Buffer.alloc(16_385).toString('base64') },
      '400 InvalidParameterValue',
    ],
    ['DryRun set', { DryRun: 'true' }, '412 DryRunOperation'],
  ])('refuses a launch with %s', async (_what, words, expected) => {
    expect(await refused(aws, 'RunInstances', { ...launchWords, ...words })).toBe(expected)
    expect((await aws.world()).instances).toEqual([])
  })

  test.each([
    [{ instanceLimit: 1 }, '400 InstanceLimitExceeded'],
    [{ vcpuLimit: 3 }, '400 VcpuLimitExceeded'],
    [{ spotLimit: 0 }, '400 MaxSpotInstanceCountExceeded'],
    [{ spotPrice: 0.02 }, '400 SpotMaxPriceTooLow'],
    [{ noSpotCapacity: ['all'] }, '500 InsufficientInstanceCapacity'],
    [{ noCapacity: ['eu-west-1b'] }, '500 InsufficientInstanceCapacity'],
    [{ denied: ['RunInstances'] }, '403 UnauthorizedOperation'],
    [{ requiredTags: ['fleet'] }, '403 UnauthorizedOperation'],
    [{ credentials: 'RequestExpired' }, '400 RequestExpired'],
    [{ credentials: 'AuthFailure' }, '401 AuthFailure'],
    [{ throttled: { times: 1, actions: ['RunInstances'] } }, '503 RequestLimitExceeded'],
  ])('refuses a second launch with %j', async (settings, expected) => {
    await launch(aws)
    aws.change(settings)
    const spot = {
      'Placement.AvailabilityZone': 'eu-west-1b',
      'InstanceMarketOptions.MarketType': 'spot',
      'InstanceMarketOptions.SpotOptions.MaxPrice': '0.01',
    }
    expect(await refused(aws, 'RunInstances', { ...launchWords, ...spot })).toBe(expected)
    expect((await aws.world()).instances).toHaveLength(1)
  })

  test('has no default VPC if the account has none', async () => {
    aws.change({ defaultVpc: false })
    const group = { GroupName: 'g', GroupDescription: 'g' }
    expect(await refused(aws, 'RunInstances', launchWords)).toBe('400 VPCIdNotSpecified')
    expect(await refused(aws, 'CreateSecurityGroup', group)).toBe('400 VPCIdNotSpecified')
    await aws.reset()
    await launch(aws)
  })

  test('refuses calls above a rate limit, and calls to an unknown region', async () => {
    aws.change({ callsPerSecond: 3 })
    const answers = []
    for (let count = 0; count < 5; count++) answers.push(await refused(aws, 'DescribeVpcs'))
    expect(answers.filter((answer) => answer === '503 RequestLimitExceeded')).toHaveLength(2)
    aws.change({ callsPerSecond: Number.POSITIVE_INFINITY })
    expect(await callEc2(aws, 'DescribeVpcs', {}, 'mars-1')).toMatchObject({ code: 'AuthFailure' })
  })

  test('uses the zone of the subnet, and refuses another zone', async () => {
    const subnets = itemsOf(await ok(aws, 'DescribeSubnets'), 'subnetSet')
    const subnet = subnets.find((tree) => tree['availabilityZone'] === 'eu-west-1b')
    const words = { ...launchWords, SubnetId: textOf(subnet, 'subnetId') ?? '' }
    const zone = { 'Placement.AvailabilityZone': 'eu-west-1a' }
    expect(await refused(aws, 'RunInstances', { ...words, ...zone })).toBe(
      '400 InvalidParameterValue',
    )
    const id = await launch(aws, words)
    await reaches(aws, id, 'running')
    expect(await look(aws, id)).toMatchObject({ placement: { availabilityZone: 'eu-west-1b' } })
  })

  test('gives no public address to an instance without one', async () => {
    const id = await launch(aws, {
      'NetworkInterface.1.DeviceIndex': '0',
      'NetworkInterface.1.AssociatePublicIpAddress': 'false',
    })
    await reaches(aws, id, 'running')
    aws.change({ lags: { address: 0 } })
    expect(aws.instance(id).address).toBeUndefined()
    expect(textOf(await look(aws, id), 'privateIpAddress')).toMatch(/^127\.64\./)
  })

  test('returns no addresses that moto made up', async () => {
    const id = await launch(aws)
    await ok(aws, 'AllocateAddress', { Domain: 'vpc' })
    await addressOf(aws, id)
    for (const action of [
      'DescribeInstances',
      'DescribeInstanceStatus',
      'DescribeAddresses',
      'DescribeNetworkInterfaces',
      'DescribeSubnets',
      'DescribeVpcs',
      'DescribeSecurityGroups',
      'DescribeRouteTables',
      'DescribeVolumes',
    ]) {
      const { status, body } = await callEc2(aws, action)
      expect(status).toBe(200)
      const hosts = body.match(/\d+\.\d+\.\d+\.\d+(?![\d/])/g) ?? []
      expect(hosts.filter((address) => !address.startsWith('127.64.'))).toEqual([])
      expect(body).not.toMatch(/compute\.amazonaws|\.internal/)
    }
  })

  test('numbers the calls, marks polling, and fails the calls of injected faults', async () => {
    aws.inject({ kind: 'error', code: 'Unavailable', at: 2 })
    aws.inject({ kind: 'lose', action: 'RunInstances' })
    aws.inject({ kind: 'close', action: 'TerminateInstances' })
    aws.inject({ kind: 'status', status: 502, action: 'DescribeVpcs', times: 2 })
    await ok(aws, 'DescribeInstances')
    expect(await refused(aws, 'DescribeInstances')).toBe('503 Unavailable')
    await ok(aws, 'DescribeInstances')
    await expect(launch(aws, { ClientToken: 't' })).rejects.toThrow('fetch failed')
    const [lost] = (await aws.world()).instances
    expect(await launch(aws, { ClientToken: 't' })).toBe(lost?.id)
    await reaches(aws, lost?.id ?? '', 'running')
    await expect(
      callEc2(aws, 'TerminateInstances', { 'InstanceId.1': lost?.id ?? '' }),
    ).rejects.toThrow('fetch failed')
    expect((await aws.world()).instances).toHaveLength(1)
    expect((await callEc2(aws, 'DescribeVpcs').catch(() => undefined))?.status).toBe(502)
    expect(
      aws.calls
        .slice(0, 5)
        .map(({ number, action, polling, executed, outcome }) => [
          number,
          action,
          polling,
          executed,
          outcome,
        ]),
    ).toEqual([
      [1, 'DescribeInstances', false, true, 'ok'],
      [2, 'DescribeInstances', true, false, 'Unavailable'],
      [3, 'DescribeInstances', true, true, 'ok'],
      [4, 'RunInstances', false, true, 'lost'],
      [5, 'RunInstances', false, true, 'ok'],
    ])
  })

  test('delays an answer for a while, or forever', async () => {
    aws.inject({ kind: 'delay', ms: 700, action: 'DescribeVpcs' })
    const start = performance.now()
    await ok(aws, 'DescribeVpcs')
    expect(performance.now() - start).toBeGreaterThan(690)
    aws.inject({ kind: 'hang', executed: true, action: 'AllocateAddress' })
    const allocated = callEc2(aws, 'AllocateAddress', { Domain: 'vpc' }).catch(() => 'no answer')
    await until('the address', async () => (await aws.world()).addresses[0])
    const later = new Promise((resolve) => {
      setTimeout(resolve, 300, 'still waiting')
    })
    expect(await Promise.race([allocated, later])).toBe('still waiting')
  })

  test('runs hooks before and after it executes a call', async () => {
    const seen: string[] = []
    const stop = aws.onCall(async (phase, { action, executed }) => {
      seen.push(`${phase} ${action} ${executed} ${(await aws.world()).keyPairs.length}`)
      return action === 'DeleteKeyPair' && phase === 'before' ? 'drop' : undefined
    })
    const material = Buffer.from(
      'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUBTn7vMKr2ibGrQ0xTlOEU0mqJSVR9BpxRJmT5yyzT',
    ).toString('base64')
    await ok(aws, 'ImportKeyPair', { KeyName: 'k', PublicKeyMaterial: material })
    await expect(callEc2(aws, 'DeleteKeyPair', { KeyName: 'k' })).rejects.toThrow('fetch failed')
    stop()
    expect(seen).toEqual([
      'before ImportKeyPair false 0',
      'after ImportKeyPair true 1',
      'before DeleteKeyPair false 1',
    ])
    expect((await aws.world()).keyPairs).toHaveLength(1)
  })

  test('answers STS calls', async () => {
    const response = await fetch(aws.environment['AWS_ENDPOINT_URL'] ?? '', {
      method: 'POST',
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=00`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: 'Action=GetCallerIdentity&Version=2011-06-15',
    })
    expect(await response.text()).toContain('<Account>')
    expect(aws.calls[0]).toMatchObject({ service: 'sts', action: 'GetCallerIdentity' })
  })
})

const execFileText = promisify(execFile)

interface Login {
  readonly identity: Identity
  readonly hostKey: string
  /** A cloud-config with this host key and a user `ops` that the identity can log in as. */
  readonly config: string
}

async function makeLogin(folder: string): Promise<Login> {
  const identity = await makeKey(join(folder, 'id'), 'login')
  const host = await makeKey(join(folder, 'host'), 'host')
  const key = await readFile(host.file, 'utf8')
  const config = `#cloud-config
ssh_deletekeys: true
ssh_keys:
  ed25519_private: |
${key.trim().replaceAll(/^/gm, '    ')}
  ed25519_public: ${host.publicKey}
users:
  - name: ops
    groups: docker, sudo
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    ssh_authorized_keys:
      - ${identity.publicKey}
`
  return { identity, hostKey: host.publicKey, config }
}

/** Logs in with OpenSSH and a pinned host key; retries until it succeeds. */
const logIn = (
  { identity, hostKey }: Login,
  address: string,
  command: string,
  timeout = 120_000,
) => {
  const options = `-F none -i ${identity.file} -o BatchMode=yes -o ConnectTimeout=30
    -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/dev/null`.split(/\s+/)
  const pinned = ['-o', `KnownHostsCommand=/bin/echo ${address} ${hostKey}`]
  let last: unknown
  return until(
    `SSH on ${address}`,
    () =>
      execFileText('ssh', [...options, ...pinned, `ops@${address}`, command]).then(
        ({ stdout }) => stdout.trim(),
        (error: unknown) => {
          last = error
          return undefined
        },
      ),
    timeout,
  ).catch((error: unknown) => {
    throw new Error(`no login at ${address}: ${String(last)}`, { cause: error })
  })
}

/** Returns user-data of two parts (MIME multipart), as cloud-init reads it. */
const multipart = (config: string) => `Content-Type: multipart/mixed; boundary="==B=="
MIME-Version: 1.0

--==B==
Content-Type: text/cloud-config; charset="us-ascii"
Content-Transfer-Encoding: base64

${Buffer.from(config).toString('base64')}
--==B==
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/sh
true

--==B==--
`

describe.skipIf(!labIsHere)('the AWS rig with lab hosts', () => {
  let aws: Aws
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aws-rig-'))
    aws = await startAws({ hosts: 'lab', lab: { spare: 1, engine: true } })
  })
  afterEach(() => aws.reset())
  afterAll(async () => {
    await aws[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  test.each<[string, (config: string) => Buffer]>([
    ['plain', (config) => Buffer.from(config)],
    ['compressed', (config) => gzipSync(config)],
    ['multipart', (config) => Buffer.from(multipart(config))],
  ])('accepts the login in the user-data (%s), with its host key', async (kind, pack) => {
    const login = await makeLogin(await mkdtemp(join(folder, 'login-')))
    const start = performance.now()
    const id = await launch(aws, { UserData: pack(login.config).toString('base64') })
    const address = await addressOf(aws, id)
    expect(
      await logIn(login, address, 'whoami; sudo -n id -u; test -e /run/cloud-init/result.json'),
    ).toBe('ops\n0')
    console.log(`${kind}: ${Math.round(performance.now() - start)} ms from RunInstances to a login`)
    expect(await logIn(login, address, 'docker run --rm bb:1 echo hello')).toBe('hello')
  })

  test("keeps a host's data when it restarts at another address, and gives none of it to the next host", async () => {
    const login = await makeLogin(await mkdtemp(join(folder, 'login-')))
    const words = { UserData: Buffer.from(login.config).toString('base64') }
    const id = await launch(aws, words)
    const first = await addressOf(aws, id)
    await logIn(
      login,
      first,
      'echo mine >~/mark; docker run -d --stop-timeout 1 --name mine bb:1 sleep 1000',
    )
    await ok(aws, 'StopInstances', { 'InstanceId.1': id })
    await reaches(aws, id, 'stopped')
    await ok(aws, 'StartInstances', { 'InstanceId.1': id })
    const second = await addressOf(aws, id)
    expect(second).not.toBe(first)
    expect(await logIn(login, second, 'cat ~/mark; docker ps -aq --filter name=mine | wc -l')).toBe(
      'mine\n1',
    )
    await ok(aws, 'RebootInstances', { 'InstanceId.1': id })
    await aws.instance(id).settled
    expect(await logIn(login, second, 'cat ~/mark')).toBe('mine')
    await ok(aws, 'TerminateInstances', { 'InstanceId.1': id })
    await reaches(aws, id, 'terminated')
    const other = await makeLogin(await mkdtemp(join(folder, 'login-')))
    const next = await launch(aws, { UserData: Buffer.from(other.config).toString('base64') })
    expect(aws.instance(next).plan.host.privateAddress).toBe(
      aws.instance(id).plan.host.privateAddress,
    )
    const address = await addressOf(aws, next)
    expect(
      await logIn(other, address, 'ls ~/mark 2>/dev/null; docker ps -aq; docker images -q | wc -l'),
    ).toBe('1')
    await expect(logIn(login, address, 'true', 500)).rejects.toThrow('verification failed')
  })
})

describe.skipIf(!labIsHere)('the AWS rig with booted hosts', () => {
  test('boots real cloud-init with the given user-data', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aws-rig-'))
    await using aws = await startAws({ hosts: 'booted' })
    const login = await makeLogin(folder)
    const config = `${login.config}runcmd: [[touch, /var/tmp/ran]]\n`
    const id = await launch(aws, { UserData: gzipSync(config).toString('base64') })
    const first = await addressOf(aws, id)
    const check = 'whoami; sudo -n cloud-init status --wait; ls /var/tmp/ran'
    expect(await logIn(login, first, check, 1_200_000)).toMatch(
      /^ops\n[\s.]*status: done\n\/var\/tmp\/ran$/,
    )
    await ok(aws, 'StopInstances', { 'InstanceId.1': id })
    await reaches(aws, id, 'stopped')
    await ok(aws, 'StartInstances', { 'InstanceId.1': id })
    const second = await addressOf(aws, id)
    expect(second).not.toBe(first)
    expect(await logIn(login, second, 'cat /var/tmp/ran; whoami', 1_200_000)).toBe('ops')
    await rm(folder, { recursive: true })
  })
})
