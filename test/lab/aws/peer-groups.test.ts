import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { awsDriver } from '../../../src/drivers/aws/driver.ts'
import type { PeerAccess, PeerGroup } from '../../../src/drivers/net/peer-access.ts'
import { parsePorts } from '../../../src/drivers/net/ports.ts'
import { mergeResources } from '../../../src/machine/machine.ts'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import { callEc2, idIn } from '../../support/aws/http/ec2-client.ts'
import { itemsOf, textOf } from '../../support/aws/http/xml.ts'
import { AwsTrial, countWorld, quietCall, startCheckIp } from '../../support/aws/trial.ts'
import { labIsHere } from '../../support/lab/lab.ts'

const nothing = { instances: 0, groups: 0, keyPairs: 0, addresses: 0, volumes: 0 }

const prod: PeerGroup = {
  ...{ fleet: '4f0c2f6e', name: 'prod' },
  ports: parsePorts('2377/tcp,7946/tcp,7946/udp,4789/udp') ?? [],
  tags: {
    ...{ fleet: 'true', 'fleet:id': '4f0c2f6e', 'fleet:swarm': 'prod', 'fleet:token': 'of-prod' },
  },
}

const recordIn = (trial: AwsTrial) => async (resources: Readonly<Record<string, string>>) => {
  trial.record = { ...trial.record, resources: { ...trial.record.resources, ...resources } }
}

const rulesOf = (id: string) =>
  ['tcp 2377-2377', 'tcp 7946-7946', 'udp 4789-4789', 'udp 7946-7946'].map(
    (ports) => `${ports} ${id}`,
  )

const isChange = ({ action }: { readonly action: string }) => !action.startsWith('Describe')

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

describe.skipIf(!labIsHere)('security groups of swarms on AWS', () => {
  let aws: Aws
  let checkIp: Awaited<ReturnType<typeof startCheckIp>>
  beforeAll(async () => {
    checkIp = await startCheckIp()
    const lags = { pending: 20, address: 20, stopping: 20, shuttingDown: 50, hidden: 0 }
    aws = await startAws({ lags: { ...lags, groupHeld: 50 } })
    Object.assign(process.env, aws.environment)
  })
  afterEach(() => aws.reset())
  afterAll(async () => {
    await aws[Symbol.asyncDispose]()
    await checkIp[Symbol.asyncDispose]()
  })

  const newDriver = () => awsDriver({ FLEET_CHECKIP_URL: checkIp.url })
  const list = () => newDriver().lifecycle?.list({ id: prod.fleet, options: [{}] }, quietCall())
  const make = async (name: string, options: Readonly<Record<string, unknown>> = {}) => {
    const trial = new AwsTrial(checkIp.url, options, { name, driver: newDriver() })
    await trial.make()
    return trial
  }
  /** Returns the peer access of a new driver, as used by a separate command. */
  const accessOf = () => newDriver().peerAccess as PeerAccess
  const open = (trial: AwsTrial, call = quietCall(), group = prod) =>
    accessOf().open(trial.record, group, recordIn(trial), call)
  const close = async (trial: AwsTrial) => {
    const changed = await accessOf().close(trial.record, prod, quietCall())
    const resources = mergeResources(trial.record.resources, changed)
    trial.record = { ...trial.record, resources }
  }
  const stateOf = async (...trials: readonly AwsTrial[]) => {
    const hosts = new Map(trials.map(({ name, record }) => [name, record]))
    const states = await newDriver().peerAccess?.observe(hosts, prod, quietCall())
    return trials.map(({ name }) => {
      const state = states?.get(name)
      return state === undefined ? 'unmanaged' : (state.missing ?? 'open')
    })
  }

  /** Resolves to the security groups of swarms with their rules, such as `tcp 2377-2377 sg-1`. */
  const swarmGroups = async () => {
    const { tree } = await callEc2(aws, 'DescribeSecurityGroups', {
      'Filter.1.Name': 'tag-key',
      'Filter.1.Value.1': 'fleet:swarm',
    })
    return itemsOf(tree, 'securityGroupInfo').map((group) => ({
      id: textOf(group, 'groupId') ?? '',
      vpc: textOf(group, 'vpcId') ?? '',
      rules: itemsOf(group, 'ipPermissions').flatMap((rule) => {
        const ports = `${textOf(rule, 'ipProtocol')} ${textOf(rule, 'fromPort')}-${textOf(rule, 'toPort')}`
        const sources = [
          ...itemsOf(rule, 'groups').map((source) => textOf(source, 'groupId')),
          ...itemsOf(rule, 'ipRanges').map((range) => textOf(range, 'cidrIp')),
          ...itemsOf(rule, 'ipv6Ranges').map((range) => textOf(range, 'cidrIpv6')),
        ]
        return sources.map((source) => `${ports} ${source}`)
      }),
    }))
  }

  /** Creates a VPC with a route to the internet. Resolves to a subnet in it. */
  const newSubnet = async (): Promise<string> => {
    const vpc = idIn((await callEc2(aws, 'CreateVpc', { CidrBlock: '10.9.0.0/16' })).body, 'vpc')
    const parameters = { VpcId: vpc, CidrBlock: '10.9.1.0/24' }
    const subnet = idIn((await callEc2(aws, 'CreateSubnet', parameters)).body, 'subnet')
    const gateway = idIn((await callEc2(aws, 'CreateInternetGateway')).body, 'igw')
    await callEc2(aws, 'AttachInternetGateway', { InternetGatewayId: gateway, VpcId: vpc })
    const tables = await callEc2(aws, 'DescribeRouteTables', {
      ...{ 'Filter.1.Name': 'vpc-id', 'Filter.1.Value.1': vpc },
    })
    await callEc2(aws, 'CreateRoute', {
      ...{ RouteTableId: idIn(tables.body, 'rtb'), DestinationCidrBlock: '0.0.0.0/0' },
      GatewayId: gateway,
    })
    return subnet
  }

  test('open ports only to members, one group per VPC, until the last member is removed', async () => {
    const [m1, m2, other] = [await make('m1'), await make('m2'), await make('other')]
    const far = await make('far', { subnet: await newSubnet() })
    expect(await stateOf(m1, far)).toEqual([
      expect.stringMatching(/^vpc-\w+ has no security group for the swarm$/),
      expect.stringMatching(/^vpc-\w+ has no security group for the swarm$/),
    ])
    // Opens access for several members concurrently, as `apply` does, and from two computers.
    await Promise.all([m1, m2, far].map((trial) => open(trial)))
    expect(await stateOf(m1, m2, far, other)).toEqual([
      ...['open', 'open', 'open'],
      expect.stringMatching(/^the instance is not in the security group sg-/),
    ])
    const groups = await swarmGroups()
    expect(new Set(groups.map(({ vpc }) => vpc)).size).toBe(2)
    expect(groups).toHaveLength(2)
    for (const { id, rules } of groups) expect(rules.toSorted()).toEqual(rulesOf(id))
    expect(m1.record.resources?.['peerGroup']).toBe(m2.record.resources?.['peerGroup'])
    expect(far.record.resources?.['peerGroup']).not.toBe(m1.record.resources?.['peerGroup'])

    // Groups in use are not leftovers.
    expect((await list())?.map(({ machine }) => machine).sort()).toEqual([
      'far',
      'm1',
      'm2',
      'other',
    ])

    await close(m2)
    expect(m2.record.resources?.['peerGroup']).toBeUndefined()
    expect(await stateOf(m1, m2)).toEqual([
      'open',
      expect.stringContaining('the instance is not in'),
    ])
    expect(await swarmGroups()).toHaveLength(2)
    await far.remove()
    expect(await swarmGroups()).toHaveLength(1)
    await m1.remove()
    expect(await swarmGroups()).toEqual([])
    for (const trial of [m2, other]) await trial.remove()
    expect(await countWorld(aws)).toEqual(nothing)
  })

  test('are removed with the last two members when these are removed concurrently', async () => {
    const [m1, m2] = [await make('m1'), await make('m2')]
    await Promise.all([m1, m2].map((trial) => open(trial)))
    await Promise.all([m1, m2].map((trial) => trial.remove()))
    expect(await countWorld(aws)).toEqual(nothing)
  })

  test('get back a rule that was removed by hand', async () => {
    const m1 = await make('m1')
    await open(m1)
    const [{ id } = { id: '' }] = await swarmGroups()
    const revoked = await callEc2(aws, 'RevokeSecurityGroupIngress', {
      ...{ GroupId: id, 'IpPermissions.1.IpProtocol': 'tcp', 'IpPermissions.1.FromPort': '2377' },
      ...{ 'IpPermissions.1.ToPort': '2377', 'IpPermissions.1.Groups.1.GroupId': id },
    })
    expect(revoked.code).toBeUndefined()
    expect(await stateOf(m1)).toEqual([`the security group ${id} does not open 2377/tcp`])
    await open(m1)
    expect(await stateOf(m1)).toEqual(['open'])
    expect((await swarmGroups())[0]?.rules.toSorted()).toEqual(rulesOf(id))
  })

  test('do not count as a change of the groups that the user chose', async () => {
    const { tree: subnets } = await callEc2(aws, 'DescribeSubnets')
    const vpc = /vpc-[0-9a-f]+/.exec(JSON.stringify(subnets))?.[0] ?? ''
    const parameters = { GroupName: 'mine', GroupDescription: 'mine', VpcId: vpc }
    const mine = idIn((await callEc2(aws, 'CreateSecurityGroup', parameters)).body, 'sg')
    const m1 = await make('m1', { securityGroups: mine })
    await open(m1)
    const status = (await m1.observe()) ?? { state: 'unknown' }
    expect(status.options?.['groups']?.split(',')).toHaveLength(2)
    const { awsOptions } = await import('../../../src/drivers/aws/options.ts')
    const options = awsOptions.parse(m1.options)
    const differences = await m1.driver.update?.compare(m1.record, options, status, quietCall())
    expect(differences).toEqual([])
    await m1.remove()
    expect(await countWorld(aws)).toEqual({ ...nothing, groups: 1 })
  })

  test('are not managed for hosts that fleet did not create', async () => {
    const m1 = await make('m1')
    const { token: _token, ...adopted } = m1.record
    m1.record = adopted
    expect(await stateOf(m1)).toEqual(['unmanaged'])
    await open(m1)
    expect(await swarmGroups()).toEqual([])
  })

  test('are found by gc and removed when no member is left', async () => {
    const m1 = await make('m1')
    await open(m1)
    const { resources: { peerGroup: _group, ...resources } = {}, ...record } = m1.record
    // An older version of fleet, or another program, terminates the only member.
    await callEc2(aws, 'TerminateInstances', { 'InstanceId.1': record.id ?? '' })
    await expect
      .poll(async () => {
        const scope = { id: prod.fleet, options: [{}] }
        const found = (await newDriver().lifecycle?.list(scope, quietCall())) ?? []
        return found.map(({ machine, parts }) => [machine, parts.length])
      })
      .toEqual(expect.arrayContaining([['prod', 1]]))
    const scope = { id: prod.fleet, options: [{}] }
    const found = (await newDriver().lifecycle?.list(scope, quietCall())) ?? []
    const group = found.find(({ machine }) => machine === 'prod')
    expect(group?.parts).toEqual([
      expect.stringMatching(/^security group sg-\w+ of swarm prod in eu-west-1$/),
    ])
    expect(group?.token).toBe('of-prod')
    await m1.lifecycle.remove(group?.record ?? { phase: 'ready' }, quietCall())
    expect(await swarmGroups()).toEqual([])
    await m1.lifecycle.remove({ ...record, resources }, quietCall())
    expect(await countWorld(aws)).toEqual(nothing)
  })

  test('named by a record are deleted only if they belong to a swarm of the same inventory', async () => {
    const m1 = await make('m1')
    const group = { ...prod, fleet: '00000000', tags: { ...prod.tags, 'fleet:id': '00000000' } }
    const m2 = await make('m2')
    await open(m2, quietCall(), group)
    const foreign = m2.record.resources?.['peerGroup'] ?? ''
    await callEc2(aws, 'ModifyInstanceAttribute', {
      InstanceId: m2.record.id ?? '',
      'GroupId.1': m2.record.resources?.['securityGroup'] ?? '',
    })
    m1.record = { ...m1.record, resources: { ...m1.record.resources, peerGroup: foreign } }
    await m1.remove()
    expect((await swarmGroups()).map(({ id }) => id)).toEqual([foreign])
  })

  test('can be completed or removed after an interruption at any change', async () => {
    aws.change({ lags: { groupHeld: 0 } })
    const m1 = await make('m1')
    const changesOf = async (work: () => Promise<unknown>) => {
      const before = aws.calls.filter(isChange).length
      await work()
      return aws.calls.filter(isChange).length - before
    }
    // Between two changes, there is only one state in which an operation can be interrupted.
    const opening = await changesOf(() => open(m1))
    const closing = await changesOf(() => close(m1))
    expect([opening, closing]).toEqual([3, 2])

    /** Runs `work` and interrupts it before or after its nth change; with `after`, the change is still made. */
    const cut = async (
      n: number,
      phase: 'before' | 'after',
      work: (call: ReturnType<typeof quietCall>) => Promise<unknown>,
    ) => {
      const killed = new AbortController()
      let seen = 0
      const undo = aws.onCall((at, call) => {
        if (killed.signal.aborted) return 'drop'
        if (at !== phase || !isChange(call) || (seen += 1) < n) return undefined
        killed.abort(new Error('killed'))
        return 'drop'
      })
      await work({ ...quietCall(), signal: killed.signal }).catch(() => {})
      undo()
    }
    for (const phase of ['before', 'after'] as const) {
      for (const n of numbers(opening)) {
        await cut(n, phase, (call) => open(m1, call))
        await open(m1)
        expect(await stateOf(m1), `open, ${phase} change ${n}`).toEqual(['open'])
        expect(await swarmGroups(), `open, ${phase} change ${n}`).toHaveLength(1)
        await close(m1)
      }
      for (const n of numbers(closing)) {
        await open(m1)
        await cut(n, phase, (call) => accessOf().close(m1.record, prod, call))
        await close(m1)
        expect(await swarmGroups(), `close, ${phase} change ${n}`).toEqual([])
      }
    }
    await m1.remove()
    for (const n of numbers(opening)) {
      const trial = await make('m1')
      await cut(n, 'after', (call) => open(trial, call))
      await trial.remove()
      const scope = { id: prod.fleet, options: [{}] }
      const left = (await newDriver().lifecycle?.list(scope, quietCall())) ?? []
      // If fleet is killed after creating the group and before recording it, gc finds the group.
      for (const { record } of left) await trial.lifecycle.remove(record, quietCall())
      expect(left.length, `rm, after change ${n}`).toBeLessThanOrEqual(1)
      expect(await countWorld(aws), `rm, after change ${n}`).toEqual(nothing)
    }
  })
})
