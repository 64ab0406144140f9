import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { awsDriver } from '../../../src/drivers/aws/driver.ts'
import type { HostRecord } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { AwsTrial, countWorld, quietCall, startCheckIp } from '../../support/aws/trial.ts'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { callEc2, idIn } from '../../support/aws/http/ec2-client.ts'

const nothing = { instances: 0, groups: 0, keyPairs: 0, addresses: 0, volumes: 0 }
const oneHost = { ...nothing, instances: 1, groups: 1, keyPairs: 1, volumes: 1 }

/** Returns whether a call asks about one instance by ID, as polling does. */
const isWait = (parameters: object): boolean => Object.values(parameters).includes('instance-id')

/** Returns the first ID with this prefix in an answer. */
describe.skipIf(!labIsHere)('the aws driver', () => {
  let aws: Aws
  let checkIp: Awaited<ReturnType<typeof startCheckIp>>
  beforeAll(async () => {
    checkIp = await startCheckIp()
    aws = await startAws()
    Object.assign(process.env, aws.environment)
  })
  afterEach(async () => {
    checkIp.address = '203.0.113.9'
    await aws.reset()
  })
  afterAll(async () => {
    await aws[Symbol.asyncDispose]()
    await checkIp[Symbol.asyncDispose]()
  })

  const begin = (options: Readonly<Record<string, unknown>> = {}, more = {}) =>
    new AwsTrial(checkIp.url, options, more)
  const firstNote = async (options: Readonly<Record<string, unknown>>) =>
    (await begin(options).plan()).notes[0]
  const callsOf = (action: string) => aws.calls.filter((call) => call.action === action)
  const running = (trial: AwsTrial) => aws.instance(trial.record.id ?? '')

  /** Returns the IPv4 ranges in the successful calls of the action `name`. */
  const cidrsOf = (name: string) =>
    callsOf(name)
      .filter(({ outcome }) => outcome === 'ok')
      .flatMap(({ parameters }) => Object.entries(parameters))
      .flatMap(([key, value]) => (key.endsWith('CidrIp') ? value : []))

  describe('creates', () => {
    test.each<[string, Record<string, unknown>, number]>([
      ['a host', {}, 0],
      ['a host with an Elastic IP', { elasticIp: true }, 1],
    ])(
      '%s with at most 13 calls beyond polling, and removes all of it',
      async (_what, options, addresses) => {
        aws.change({ lags: { hidden: 0 } })
        const trial = begin(options)
        const facts = await trial.make()
        const asked = aws.calls.filter(({ parameters }) => !isWait(parameters))
        expect(asked.length).toBeLessThanOrEqual(13)
        expect(await countWorld(aws)).toEqual({ ...oneHost, addresses })
        expect(facts).toEqual({
          id: trial.record.id,
          address: running(trial).address,
          user: 'fleet',
        })
        expect(await trial.observe()).toMatchObject({ state: 'running', address: facts.address })

        const all = Object.values(await aws.world()).flat() as { tags: object }[]
        for (const { tags } of all) expect(tags).toMatchObject({ ...trial.tags, Name: 'web-1' })

        await trial.remove()
        expect(await countWorld(aws)).toEqual(nothing)
        expect(await trial.observe()).toEqual({ state: 'absent' })
        await trial.remove()
      },
    )

    test('several hosts, and shares the lookups that they have in common', async () => {
      aws.change({ lags: { hidden: 0 } })
      const driver = awsDriver({ FLEET_CHECKIP_URL: checkIp.url })
      const trials = Array.from({ length: 5 }, (_, index) =>
        begin({}, { name: `web-${index}`, driver }),
      )
      await Promise.all(trials.map((trial) => trial.make()))
      expect(await countWorld(aws)).toMatchObject({ instances: 5, groups: 5, keyPairs: 5 })
      for (const action of ['DescribeInstanceTypes', 'DescribeImages', 'DescribeSubnets']) {
        expect(callsOf(action)).toHaveLength(1)
      }
      expect(callsOf('RunInstances')).toHaveLength(6) // one of them is a dry run
    })

    test('a host from the newest image for the architecture of the instance type', async () => {
      expect(await firstNote({})).toMatch(/t3\.small in eu-west-1a from debian-13-amd64-20251006/)
      expect(await firstNote({ type: 't4g.small' })).toMatch(/debian-13-arm64-20251006/)
      expect(await firstNote({ image: 'ubuntu-26.04' })).toMatch(
        /resolute-26\.04-amd64-server-20261015/,
      )
      expect(await firstNote({ image: 'ubuntu-22.04' })).toMatch(
        /jammy-22\.04-amd64-server-20251015/,
      )
    })

    test('a host with SSH open only to the caller, and ports open to everybody', async () => {
      const trial = begin({ ports: '80,53/udp' })
      const { notes } = await trial.plan()
      expect(notes.join()).toContain('SSH is open to 203.0.113.9,')
      await trial.make()
      const [{ parameters } = { parameters: {} }] = callsOf('AuthorizeSecurityGroupIngress')
      const ranges = Object.entries(parameters).filter(([key]) => /Cidr/.test(key))
      expect(ranges.map(([, value]) => value)).toEqual([
        '203.0.113.9/32',
        ...['0.0.0.0/0', '::/0', '0.0.0.0/0', '::/0'],
      ])
    })

    test('a host without a public address if none is wanted', async () => {
      const trial = begin({ privateOnly: true, sshCidr: '10.0.0.0/8' })
      const { address } = await trial.make()
      expect(running(trial).address).toBeUndefined()
      expect(callsOf('RunInstances')[1]?.parameters).toMatchObject({
        'NetworkInterface.1.AssociatePublicIpAddress': 'false',
      })
      expect(await trial.observe()).toMatchObject({ state: 'running', address })
    })

    test("a host with the user's own security group and key pair, and leaves these alone", async () => {
      const { tree: subnets } = await callEc2(aws, 'DescribeSubnets')
      const vpc = /vpc-[0-9a-f]+/.exec(JSON.stringify(subnets))?.[0] ?? ''
      const made = await callEc2(aws, 'CreateSecurityGroup', {
        GroupName: 'mine',
        GroupDescription: 'mine',
        VpcId: vpc,
      })
      const group = /sg-[0-9a-f]+/.exec(made.body)?.[0] ?? ''
      await callEc2(aws, 'CreateKeyPair', { KeyName: 'mine' })
      const before = await countWorld(aws)
      await new Promise((resolve) => setTimeout(resolve, 200)) // new resources are hidden at first
      const trial = begin({ securityGroups: group, keyPair: 'mine' })
      await trial.make()
      expect(await countWorld(aws)).toEqual({ ...before, instances: 1, volumes: 1 })
      expect(callsOf('AuthorizeSecurityGroupIngress')).toEqual([])
      await trial.remove()
      expect(await countWorld(aws)).toEqual(before)
    })
  })

  describe('retries', () => {
    test('while new resources are not yet visible everywhere, or are slow', async () => {
      aws.change({ lags: { hidden: 1000, pending: 3000, address: 1000 } })
      const call = quietCall()
      await begin().make(call)
      expect(call.steps.join('\n')).toMatch(/not visible yet[^]*is pending/)
      expect(await countWorld(aws)).toEqual(oneHost)
    })

    test('throttled requests', async () => {
      aws.change({ throttled: { times: 3, actions: 'all' } })
      await begin({ elasticIp: true }).make()
      expect(await countWorld(aws)).toEqual({ ...oneHost, addresses: 1 })
    })

    test.each([
      'CreateSecurityGroup',
      'ImportKeyPair',
      'AllocateAddress',
      'RunInstances',
      'AssociateAddress',
    ])('when the answer to %s is lost or is a 503, and creates nothing twice', async (action) => {
      aws.inject({ kind: 'lose', action })
      aws.inject({ kind: 'status', status: 503, action, at: 2 })
      const trial = begin({ elasticIp: true })
      await trial.make()
      expect(await countWorld(aws)).toEqual({ ...oneHost, addresses: 1 })
      await trial.remove()
      expect(await countWorld(aws)).toEqual(nothing)
    })

    test('the deletion of a security group that is in use while the instance shuts down', async () => {
      aws.change({ lags: { shuttingDown: 800, groupHeld: 600_000 } })
      aws.onCall((at, { action }) => {
        if (at === 'after' && action === 'DeleteSecurityGroup')
          aws.change({ lags: { groupHeld: 0 } })
      })
      const trial = begin()
      await trial.make()
      await trial.remove()
      expect(callsOf('DeleteSecurityGroup').map(({ outcome }) => outcome)).toContain(
        'DependencyViolation',
      )
      expect(await countWorld(aws)).toEqual(nothing)
    })

    test('until the user aborts', async () => {
      aws.change({ lags: { pending: 60_000 } })
      const controller = new AbortController()
      const trial = begin()
      const making = trial.make({ ...quietCall(), signal: controller.signal })
      await expect.poll(() => trial.record.id).toBeDefined()
      controller.abort(new Error('enough'))
      await expect(making).rejects.toThrow('enough')
      await trial.remove()
      expect(await countWorld(aws)).toEqual(nothing)
    })
  })

  describe('with a wrong clock on this computer', () => {
    const twentyMinutes = 20 * 60_000

    test.each(['RequestExpired', 'RequestTimeTooSkewed', 'RequestInTheFuture', 'AuthFailure'])(
      'creates and removes a host although AWS refuses the first request with %s',
      async (clockRefusal) => {
        aws.change({ clockAhead: twentyMinutes, clockRefusal })
        const trial = begin({ elasticIp: true })
        await trial.make()
        await trial.remove()
        const refused = aws.calls.filter(({ outcome }) => outcome === clockRefusal)
        expect(refused.length).toBeGreaterThan(0)
        expect(refused.length).toBeLessThan(6) // requests that were in flight before the first answer
        expect(await countWorld(aws)).toEqual(nothing)
      },
    )

    test('learns the offset even if the first request is one that is sent only once', async () => {
      const trial = begin({ elasticIp: true })
      const plan = await trial.plan()
      expect(plan.exists).toBe(false)
      aws.change({ clockAhead: -twentyMinutes })
      await trial.make()
      expect(await countWorld(aws)).toEqual({ ...oneHost, addresses: 1 })
    })
  })

  describe('reports what it waits for', () => {
    test('while EC2 throttles requests', async () => {
      aws.change({ throttled: { times: 3, actions: ['DescribeImages'] } })
      const call = quietCall()
      const longRests = vi.spyOn(Math, 'random').mockReturnValue(0.99)
      await begin()
        .plan(call)
        .finally(() => longRests.mockRestore())
      expect(call.steps.join('\n')).toContain('EC2 is throttling requests')
    })
  })

  describe('looks for capacity', () => {
    test('in the next zone', async () => {
      aws.change({ noCapacity: ['eu-west-1a', 'eu-west-1b'] })
      const trial = begin()
      await trial.make()
      expect(trial.record.resources).toMatchObject({ zone: 'eu-west-1c', market: 'on-demand' })
      expect(await countWorld(aws)).toEqual(oneHost)
    })

    test('and reports that there is none, then continues later', async () => {
      aws.change({ noCapacity: ['t3.small'] })
      const trial = begin()
      await expect(trial.make()).rejects.toMatchObject({
        kind: 'failed',
        message: expect.stringMatching(/no capacity.*InsufficientInstanceCapacity/) as string,
      })
      expect(await countWorld(aws)).toMatchObject({ instances: 0 })
      aws.change({ noCapacity: [] })
      await trial.make()
      expect(await countWorld(aws)).toEqual(oneHost)
    })

    test('at the spot price if there is some, otherwise on demand', async () => {
      const spot = begin({ spot: 'prefer' })
      await spot.make()
      expect(spot.record.resources).toMatchObject({ market: 'spot' })
      aws.change({ noSpotCapacity: ['all'] })
      const full = begin({ spot: 'prefer' })
      await full.make()
      expect(full.record.resources).toMatchObject({ market: 'on-demand' })
      await expect(begin({ spot: 'only' }).make()).rejects.toMatchObject({ kind: 'failed' })
    })
  })

  describe('resumes an interrupted creation', () => {
    const crash = new Error('the process died')

    test.each([1, 2, 3, 4, 5])(
      'that crashed before it wrote record %i, with a single host',
      async (step) => {
        const trial = begin({ elasticIp: true })
        trial.beforeRecord = (current) => {
          if (current === step) throw crash
        }
        await expect(trial.make()).rejects.toBe(crash)
        trial.beforeRecord = () => {}
        trial.userData = '#cloud-config\nhostname: other\n'
        await trial.make()
        expect(await countWorld(aws)).toEqual({ ...oneHost, addresses: 1 })
        await trial.remove()
        expect(await countWorld(aws)).toEqual(nothing)
      },
    )

    test('with an instance that is not visible yet and was launched with other user-data', async () => {
      const trial = begin()
      trial.beforeRecord = (step) => {
        if (step === 4) throw crash
      }
      aws.change({ lags: { hidden: 3000 } })
      await expect(trial.make()).rejects.toBe(crash)
      trial.beforeRecord = () => {}
      trial.userData = '#cloud-config\nhostname: other\n'
      await trial.make()
      expect(callsOf('RunInstances').map(({ outcome }) => outcome)).toContain(
        'IdempotentParameterMismatch',
      )
      expect(await countWorld(aws)).toEqual(oneHost)
    })

    test('or removes an instance that is not visible yet', async () => {
      const trial = begin()
      trial.beforeRecord = (step) => {
        if (step === 4) throw crash
      }
      aws.change({ lags: { hidden: 2000 } })
      await expect(trial.make()).rejects.toBe(crash)
      await trial.remove()
      expect(await countWorld(aws)).toEqual(nothing)
    })

    test('with a new instance if the first was terminated in between', async () => {
      const trial = begin()
      aws.change({ lags: { pending: 60_000 } })
      const making = trial.make()
      await expect.poll(() => trial.record.id).toBeDefined()
      const first = trial.record.id
      const terminate = () => callEc2(aws, 'TerminateInstances', { 'InstanceId.1': first ?? '' })
      await expect.poll(async () => (await terminate()).code).toBeUndefined() // the instance is visible to all calls
      await expect(making).rejects.toMatchObject({
        kind: 'failed',
        message: expect.stringContaining(first ?? '') as string,
      })
      aws.change({ lags: { pending: 150 } })
      const { id } = await trial.make()
      expect(id).not.toBe(first)
      expect(await countWorld(aws)).toEqual(oneHost)
    })

    test('from another address, which is allowed instead of the first', async () => {
      const trial = begin()
      trial.beforeRecord = (step) => {
        if (step === 4) throw crash
      }
      await expect(trial.make()).rejects.toBe(crash)
      trial.beforeRecord = () => {}
      checkIp.address = '198.51.100.4'
      const again = begin({}, { token: trial.record.token })
      again.record = trial.record
      await again.make()
      expect(cidrsOf('AuthorizeSecurityGroupIngress')).toEqual([
        '203.0.113.9/32',
        '198.51.100.4/32',
      ])
      expect(cidrsOf('RevokeSecurityGroupIngress')).toEqual(['203.0.113.9/32'])
    })

    test('but not in another region', async () => {
      const trial = begin()
      await trial.make()
      const moved = begin({ region: 'eu-central-1' }, { token: trial.record.token })
      moved.record = trial.record
      await expect(moved.plan()).rejects.toMatchObject({ kind: 'usage' })
    })
  })

  describe('before creating anything', () => {
    const nowhere = '0123456789abcdef0'
    const armImage = 'ami-0010fee1fee1fee10'
    test.each<[string, Record<string, unknown>, object, string, RegExp]>([
      [
        'an unknown region',
        { region: 'eu-wst-1' },
        {},
        'usage',
        /no AWS region "eu-wst-1" \(did you mean "eu-west-1"/,
      ],
      ['an unknown instance type', { type: 't9.huge' }, {}, 'usage', /no instance type t9\.huge/],
      ['an unknown image', { image: `ami-${nowhere}` }, {}, 'usage', /no such image|no image/],
      [
        'an image for another architecture',
        { image: armImage },
        {},
        'usage',
        /is for arm64, but t3\.small is x86_64/,
      ],
      ['an unknown subnet', { subnet: `subnet-${nowhere}` }, {}, 'usage', /no such subnet/],
      ['an unknown VPC', { vpc: `vpc-${nowhere}` }, {}, 'usage', /VPC vpc-/],
      [
        'a zone without a subnet',
        { zone: 'eu-west-1z' },
        {},
        'usage',
        /no subnet in zone eu-west-1z/,
      ],
      ['an account without a default VPC', {}, { defaultVpc: false }, 'usage', /no default VPC/],
      [
        'an unknown security group',
        { securityGroups: `sg-${nowhere}` },
        {},
        'usage',
        /no such security group/,
      ],
      ['an unknown key pair', { keyPair: 'nope' }, {}, 'usage', /no such key pair/],
      ['expired credentials', {}, { credentials: 'ExpiredToken' }, 'credentials', /expired/],
      [
        'invalid credentials',
        {},
        { credentials: 'AuthFailure' },
        'credentials',
        /rejected the credentials/,
      ],
      [
        'a launch that the IAM policy forbids',
        {},
        { denied: ['RunInstances'] },
        'credentials',
        /does not allow/,
      ],
      [
        'a launch without tags that the IAM policy requires',
        {},
        { requiredTags: ['cost'] },
        'credentials',
        /does not allow/,
      ],
    ])('refuses %s', async (_what, options, settings, kind, message) => {
      aws.change(settings)
      await expect(begin(options).plan()).rejects.toMatchObject({
        kind,
        message: expect.stringMatching(message) as string,
      })
      expect(await countWorld(aws)).toEqual(nothing)
    })

    test('refuses a subnet without a route to an internet gateway if a public address is wanted', async () => {
      const { body: made } = await callEc2(aws, 'CreateVpc', { CidrBlock: '10.9.0.0/16' })
      const vpc = idIn(made, 'vpc')
      const parameters = { VpcId: vpc, CidrBlock: '10.9.1.0/24' }
      const subnet = idIn((await callEc2(aws, 'CreateSubnet', parameters)).body, 'subnet')
      const refused = { kind: 'usage', message: expect.stringContaining(subnet) as string }
      await expect(begin({ subnet }).plan()).rejects.toMatchObject(refused)
      await expect(begin({ vpc }).plan()).rejects.toThrow(/no subnet in vpc-.* internet gateway/)
      expect(await begin({ subnet, privateOnly: true, sshCidr: '10.0.0.0/8' }).plan()).toBeDefined()
      aws.change({ denied: ['DescribeRouteTables'] }) // as with an older policy
      expect(await begin({ subnet }).plan()).toBeDefined()
      aws.change({ denied: [] })

      const gateway = idIn((await callEc2(aws, 'CreateInternetGateway')).body, 'igw')
      await callEc2(aws, 'AttachInternetGateway', { InternetGatewayId: gateway, VpcId: vpc })
      const filter = { 'Filter.1.Name': 'vpc-id', 'Filter.1.Value.1': vpc }
      const { body: tables } = await callEc2(aws, 'DescribeRouteTables', filter)
      const routed = await callEc2(aws, 'CreateRoute', {
        ...{ RouteTableId: idIn(tables, 'rtb'), GatewayId: gateway },
        DestinationCidrBlock: '0.0.0.0/0',
      })
      expect(routed.code).toBeUndefined()
      expect(await begin({ subnet }).plan()).toBeDefined()
    })

    test('refuses CPU credits for a type without them, and notes when credits cost money', async () => {
      await expect(
        begin({ type: 'm5.large', cpuCredits: 'standard' }).plan(),
      ).rejects.toMatchObject({
        kind: 'usage',
        message: expect.stringContaining('m5.large has no CPU credits') as string,
      })
      const notesOf = async (options: Readonly<Record<string, unknown>>) =>
        (await begin(options).plan()).notes.join('\n')
      expect(await notesOf({})).toMatch(
        /t3\.small has unlimited CPU credits.*--cpu-credits standard/,
      )
      expect(await notesOf({ cpuCredits: 'standard' })).not.toContain('CPU credits')
      expect(await notesOf({ type: 't2.small' })).not.toContain('CPU credits')
      expect(await notesOf({ type: 'm5.large' })).not.toContain('CPU credits')
      const trial = begin({ cpuCredits: 'standard' })
      await trial.make()
      const launch = callsOf('RunInstances').find(({ executed }) => executed)
      expect(launch?.parameters).toMatchObject({ 'CreditSpecification.CpuCredits': 'standard' })
      expect(trial.record.resources).toMatchObject({ credits: 'standard' })
    })

    test("fails if the caller's address cannot be determined", async () => {
      checkIp.address = 'go away'
      await expect(begin().plan()).rejects.toMatchObject({
        kind: 'unreachable',
        hint: expect.stringContaining('--ssh-cidr') as string,
      })
    })

    test('cannot detect an exhausted quota, but names it when the launch fails', async () => {
      aws.change({ vcpuLimit: 1 })
      const trial = begin()
      await expect(trial.make()).rejects.toMatchObject({
        kind: 'failed',
        message: expect.stringMatching(/quota.*VcpuLimitExceeded/) as string,
      })
      expect(await countWorld(aws)).toMatchObject({ instances: 0 })
      await trial.remove()
      expect(await countWorld(aws)).toEqual(nothing)
    })
  })

  describe('removes', () => {
    test('a host whose termination protection it enabled itself', async () => {
      const trial = begin({ terminationProtection: true })
      await trial.make()
      await trial.remove()
      expect(await countWorld(aws)).toEqual(nothing)
    })

    test('no host that another user has protected, but names it', async () => {
      const trial = begin()
      const { id = '' } = await trial.make()
      const protect = (value: string) =>
        callEc2(aws, 'ModifyInstanceAttribute', {
          InstanceId: id,
          'DisableApiTermination.Value': value,
        })
      await protect('true')
      await expect(trial.remove()).rejects.toMatchObject({
        kind: 'failed',
        message: expect.stringMatching(new RegExp(`instance ${id}: .*protection`)) as string,
        hint: expect.stringContaining('modify-instance-attribute') as string,
      })
      expect(await countWorld(aws)).toMatchObject({ instances: 1 })
      await protect('false')
      await trial.remove()
      expect(await countWorld(aws)).toEqual(nothing)
    })

    test('what it can, and names what it is not allowed to delete', async () => {
      const trial = begin({ elasticIp: true })
      await trial.make()
      aws.change({ denied: ['ReleaseAddress'] })
      await expect(trial.remove()).rejects.toMatchObject({
        kind: 'credentials',
        message: expect.stringMatching(
          /could not delete some resources in eu-west-1: Elastic IP .*UnauthorizedOperation/,
        ) as string,
      })
      expect(await countWorld(aws)).toEqual({ ...nothing, addresses: 1 })
      aws.change({ denied: [] })
      await trial.remove()
      expect(await countWorld(aws)).toEqual(nothing)
    })

    test('nothing if nothing was created', async () => {
      await begin().remove()
      expect(aws.calls).toEqual([])
    })
  })

  describe('describes', () => {
    test('many hosts with one set of calls per region, and calls more only for those it did not launch', async () => {
      const trial = begin()
      await trial.make()
      const others = Array.from({ length: 249 }, (_, index): [MachineName, HostRecord] => [
        `other-${index}` as MachineName,
        {
          phase: 'ready',
          id: `i-${index.toString(16).padStart(17, '0')}`,
          resources: { region: 'eu-west-1' },
        },
      ])
      const elsewhere = {
        ...others[0]?.[1],
        phase: 'ready' as const,
        resources: { region: 'us-east-1' },
      }
      const hosts = new Map([
        ...others,
        [trial.name, trial.record],
        ['far' as MachineName, elsewhere],
        ['new' as MachineName, { phase: 'creating' as const, resources: { region: 'eu-west-1' } }],
      ])
      const before = callsOf('DescribeInstances').length
      const seen = await trial.driver.observe(hosts, quietCall())
      expect(callsOf('DescribeInstances').length - before).toBe(4)
      expect([...seen.keys()]).toEqual([...hosts.keys()])
      expect(seen.get(trial.name)).toMatchObject({ state: 'running' })
      expect(seen.get('other-7' as MachineName)).toEqual({ state: 'absent' })
      expect(seen.get('new' as MachineName)).toEqual({ state: 'unknown' })
    })

    test('the resources of a fleet in all regions', async () => {
      const [here, far] = [
        begin({ elasticIp: true }),
        begin({ region: 'us-east-2' }, { name: 'far' }),
      ]
      await here.make()
      await far.make()
      const scope = { id: '4f0c2f6e', options: [{}] }
      const near = await here.lifecycle.list(scope, quietCall())
      expect(near.map(({ machine }) => machine)).toEqual(['web-1']) // only in the regions that the options name
      const found = await here.lifecycle.list({ ...scope, everywhere: true }, quietCall())
      expect(new Map(found.map(({ machine, record }) => [machine, record.id]))).toEqual(
        new Map([
          ['web-1', here.record.id],
          ['far', far.record.id],
        ]),
      )
      expect(found).toHaveLength(2)
      const mine = found.find(({ machine }) => machine === 'web-1')
      expect(mine?.parts.map((part) => part.split(' ').slice(0, 2).join(' '))).toEqual([
        `instance ${here.record.id}`,
        `security group`,
        `key pair`,
        `Elastic IP`,
      ])
      expect(await here.lifecycle.list({ id: 'ffffffff', options: [{}] }, quietCall())).toEqual([])
      for (const { record } of found) await here.lifecycle.remove(record, quietCall())
      expect(await countWorld(aws)).toEqual(nothing)
      expect((await aws.world('us-east-2')).instances).toEqual([])
    })
  })

  describe('starts and stops', () => {
    test('a host idempotently, and finds its new address', async () => {
      const trial = begin()
      const { address } = await trial.make()
      for (const _ of [1, 2]) await trial.power.stop(trial.record, quietCall())
      expect(await trial.observe()).toMatchObject({ state: 'stopped' })
      for (const _ of [1, 2]) await trial.power.start(trial.record, quietCall())
      const started = await trial.observe()
      expect(started).toMatchObject({ state: 'running' })
      expect(started?.address).not.toBe(address)
      await trial.power.restart(trial.record, quietCall())
      expect(await trial.observe()).toEqual(started)
      await trial.power.kill(trial.record, quietCall())
      expect(
        callsOf('StopInstances').map(({ parameters }) => parameters['SkipOsShutdown']),
      ).toEqual([undefined, 'true'])
      await trial.power.restart(trial.record, quietCall())
      expect(await trial.observe()).toMatchObject({ state: 'running' })
      expect(callsOf('StartInstances')).toHaveLength(2)
      expect(callsOf('RebootInstances')).toHaveLength(1)
    })

    test('a host that is in transition, once this has finished', async () => {
      aws.change({ lags: { stopping: 1500 } })
      const trial = begin()
      await trial.make()
      const stopping = trial.power.stop(trial.record, quietCall())
      await expect.poll(() => running(trial).state).toBe('stopping')
      // The pending stop may find the instance stopped or already running again.
      await Promise.allSettled([stopping, trial.power.start(trial.record, quietCall())])
      expect((await trial.observe())?.state).toBe('running')
    })

    test('no host that has been deleted', async () => {
      const trial = begin()
      await trial.make()
      const { record } = trial
      await trial.remove()
      await expect(trial.power.start(record, quietCall())).rejects.toMatchObject({ kind: 'failed' })
    })
  })
})
