import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import { callEc2 } from '../../support/aws/http/ec2-client.ts'
import { startCheckIp } from '../../support/aws/trial.ts'
import { failuresOf } from '../../support/doctor-findings.ts'
import { makeBaseRoot } from '../../support/lab/base-image.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { runProgram, until } from '../../support/lab/process.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const nothing = { instances: [], groups: [], keyPairs: [], addresses: [], volumes: [] }

interface Listed {
  readonly name: string
  readonly live: { readonly state: string }
}

describe.skipIf(!labIsHere)('machines on AWS', () => {
  let aws: Aws
  let ana: TestUser

  beforeAll(async () => {
    aws = await startAws({ hosts: 'lab', lab: { engine: true } })
  })
  beforeEach(async () => {
    await aws.reset()
    ana = await makeTestUser()
  })
  afterEach(() => ana[Symbol.asyncDispose]())
  afterAll(() => aws[Symbol.asyncDispose]())

  const fleet = (...args: string[]) => ana.fleet(args, { env: aws.environment })
  const create = (name: string, ...more: string[]) =>
    fleet('create', name, '--driver', 'aws', '--ssh-cidr', '10.77.0.0/16', ...more)
  const isEmpty = async () => expect(await aws.world()).toEqual(nothing)

  /** Resolves to the ID of the only instance. */
  async function instanceId(): Promise<string> {
    const { instances } = await aws.world()
    expect(instances).toHaveLength(1)
    return instances[0]?.id ?? ''
  }

  const stateOf = async (): Promise<string | undefined> => {
    const { stdout } = await fleet('ls', '--live', '--json')
    return (JSON.parse(stdout) as Listed[])[0]?.live.state
  }

  test('are created from their entries by apply, and started if they were stopped', async () => {
    aws.change({ lags: { hidden: 0 } })
    const entry = '  web-1:\n    driver: aws\n    options: { sshCidr: 10.77.0.0/16 }\n'
    const eve = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB'
    const text = `version: 1\nid: 0123abcd\noperators: { eve: ${eve} }\nmachines:\n${entry}`
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    const planned = await fleet('plan', '--json')
    expect(planned.code).toBe(2)
    expect(JSON.parse(planned.stdout)).toMatchObject({
      changes: [{ machine: 'web-1', action: 'create' }],
      issues: [],
    })
    await isEmpty()
    expect(await fleet('apply', '--yes')).toMatchObject({ code: 0 })
    expect(await fleet('plan')).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    // Operators are authorized only in fleet's block, from which their keys can be removed.
    const launch = aws.calls.find(({ action, executed }) => action === 'RunInstances' && executed)
    const sent = Buffer.from(launch?.parameters['UserData'] ?? '', 'base64').toString()
    expect(sent).toContain('ssh_authorized_keys')
    expect(sent).not.toContain(eve)
    const keys = () => fleet('ssh', 'web-1', '--', 'cat .ssh/authorized_keys')
    expect((await keys()).stdout).toMatch(/operators: begin\nssh-ed25519 \S+ eve\n# fleet/)
    await fleet('ssh', 'web-1', '--', `echo ${eve} eve@laptop >>.ssh/authorized_keys`)
    expect(await fleet('operator', 'rm', 'eve')).toMatchObject({ code: 0 })
    expect((await fleet('plan')).stdout).toContain(
      "(revoke eve's key, also in authorized_keys lines",
    )
    const { code: revoked, stderr: about } = await fleet('apply', '--yes')
    expect([revoked, about]).toEqual([0, expect.any(String)])
    expect((await keys()).stdout).toMatch(/^ssh-ed25519 \S+\n$/)
    expect(await fleet('stop', 'web-1')).toMatchObject({ code: 0 })
    expect(await fleet('plan')).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    const file = join(ana.folder, 'machines.yaml')
    const stopped = await readFile(file, 'utf8')
    await writeFile(file, stopped.replace('    stopped: true\n', ''))
    expect((await fleet('plan')).stdout).toContain('~ web-1: start (the host is stopped)')
    expect(await fleet('apply', '--yes')).toMatchObject({ code: 0 })
    expect(await stateOf()).toBe('running')
    const before = await ana.inventory()
    expect(await fleet('rm', '-y', 'web-1')).toMatchObject({ code: 0 })
    await isEmpty()
    // As in a clone of the inventory that does not have the removal yet.
    await writeFile(join(ana.folder, 'machines.yaml'), before)
    const stale = await fleet('plan')
    expect(stale.code).toBe(1)
    expect(stale.stdout).toContain('? web-1: the host no longer exists')
  })

  test('counted by a profile are created by name and by apply, and surplus ones removed with consent', async () => {
    aws.change({ lags: { hidden: 0 } })
    const profiles = [
      'profiles:',
      '  base: { driver: aws, options: { sshCidr: 10.77.0.0/16 }, labels: { role: web } }',
      '  web:',
      '    extends: base',
      '    count: 2 # as few as can be',
    ].join('\n')
    const text = `version: 1\nid: 0123abcd\n${profiles}\nmachines: {}\n`
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    expect((await fleet('ls', '-q', '--on', 'role=web')).stdout).toBe('web-1\nweb-2\n')
    const unmade = await fleet('-m', 'web-2', 'ps')
    expect(unmade.stderr).toContain('web-2: the machine has not been created yet')
    expect((await fleet('rm', '-y', 'web-2')).stderr).toContain('there is nothing to remove')

    expect(await fleet('create', 'web-2')).toMatchObject({ code: 0 })
    const made = await ana.inventory()
    expect(made).toContain(`${profiles}\nmachines:\n  web-2:\n    extends: web\n    host:\n`)
    expect(made.match(/driver:|options:|labels:/g)).toHaveLength(3)
    expect((await fleet('plan')).stdout).toContain('+ web-1: create (profile web sets "count: 2")')
    expect(await fleet('apply', '--yes')).toMatchObject({ code: 0 })
    expect(await fleet('plan')).toMatchObject({ code: 0, stdout: 'nothing to do\n' })

    expect(await fleet('set', '--profile', 'web', 'count=1')).toMatchObject({ code: 0 })
    expect(await ana.inventory()).toContain('    count: 1 # as few as can be\n')
    expect((await fleet('plan')).stdout).toContain('- web-2: remove (profile web sets "count: 1")')
    const left = await fleet('apply', '--yes')
    expect(left.code).toBe(1)
    expect((await aws.world()).instances).toHaveLength(2)
    // On a terminal, a prompt asks for confirmation, and only the name confirms.
    const applyTyping = (answer: string) =>
      ana.fleetOnTerminal(
        ['apply'],
        [
          { at: 'Make these changes?', type: 'y\r' },
          { at: 'Type web-2', type: `${answer}\r` },
        ],
        { env: aws.environment },
      )
    const spared = await applyTyping('y')
    expect(spared).toMatchObject({
      code: 1,
      screen: expect.stringContaining('skipped: confirmation is required to remove'),
    })
    expect((await aws.world()).instances).toHaveLength(2)
    expect(await applyTyping('web-2')).toMatchObject({ code: 0 })
    expect((await aws.world()).instances).toHaveLength(1)
    expect((await fleet('ls', '-q')).stdout).toBe('web-1\n')

    const gone = await fleet('rm', '-y', 'web-1')
    expect(gone.code).toBe(0)
    expect(gone.stderr).toContain('to prevent this: fleet set --profile web count=0')
    expect(await ana.inventory()).toBe(text.replace('count: 2', 'count: 1'))
    await isEmpty()
  })

  test('are changed in place by apply, and replaced only with consent', async () => {
    aws.change({ lags: { hidden: 0 } })
    expect(await create('web-1', '--tags', 'team=blue')).toMatchObject({ code: 0 })
    const id = await instanceId()
    const before = aws.calls.length
    expect(await fleet('plan')).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    const looks = aws.calls.slice(before).map(({ action, region }) => `${action} ${region}`)
    expect(looks.filter((look) => look === `DescribeInstances ${aws.region}`)).toHaveLength(2) // one looks for orphans
    const words = ['type=t3.medium', 'disk=40', 'tags=team=red,tier=1', 'ports=80']
    expect(await fleet('set', 'web-1', ...words)).toMatchObject({ code: 0 })
    const { code, stdout } = await fleet('plan')
    expect(code).toBe(2)
    expect(stdout).toContain(
      '~ web-1: change (type t3.small -> t3.medium, disk 20 -> 40, tags team=blue -> team=red,tier=1, ports none -> 80/tcp; the host will be stopped temporarily)',
    )

    // fleet is killed when EC2 is about to change the type; at that point, the host is stopped.
    await ana.fleet(['apply', '--yes'], {
      env: aws.environment,
      said: (stderr, pid) => {
        if (stderr.includes('instance type')) process.kill(pid, 'SIGKILL')
      },
    })
    expect((await fleet('plan')).stdout).toContain('~ web-1: start (the host is stopped)')
    expect(await fleet('apply', '--yes')).toMatchObject({ code: 0 })
    expect(await fleet('plan')).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    expect(await instanceId()).toBe(id)
    const { instances, volumes, groups } = await aws.world()
    for (const { tags } of [...instances, ...volumes, ...groups]) {
      expect(tags).toMatchObject({ team: 'red', tier: '1', 'fleet:id': '0123abcd' })
    }
    expect(await fleet('ps')).toMatchObject({ code: 0 })

    expect(await fleet('set', 'web-1', 'disk=20', 'protected=true')).toMatchObject({ code: 0 })
    expect((await fleet('plan')).stdout).toContain(
      'the machine is protected, but would have to be replaced',
    )
    expect(await fleet('set', 'web-1', 'protected-')).toMatchObject({ code: 0 })
    const severe = '-/+ web-1: replace (disk 40 -> 20: a disk cannot shrink)'
    expect((await fleet('plan')).stdout).toContain(severe)
    const left = await fleet('apply', '--yes')
    expect(left).toMatchObject({ code: 1 })
    expect(left.stderr).toContain('fleet apply --destroy web-1')
    expect(await instanceId()).toBe(id)
    // If fleet is killed while removing the old host, the next apply continues without asking for consent again.
    await ana.fleet(['apply', '--yes', '--destroy', 'web-1'], {
      env: aws.environment,
      said: (stderr, pid) => {
        if (stderr.includes('remove the host')) process.kill(pid, 'SIGKILL')
      },
    })
    expect((await fleet('plan')).stdout).toContain('host replacement was interrupted')
    expect(await fleet('apply', '--yes')).toMatchObject({ code: 0 })
    expect(await instanceId()).not.toBe(id)
    expect(await fleet('plan')).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    expect(await fleet('rm', '-y', 'web-1')).toMatchObject({ code: 0 })
    await isEmpty()
  })

  test('created by another user can be adopted by ID, stopped and started, and are never removed', async () => {
    aws.change({ lags: { hidden: 0 } })
    expect(await create('web-1')).toMatchObject({ code: 0 })
    const id = await instanceId()
    const key = /key: (SHA256:\S+)/.exec(await ana.inventory())?.[1] ?? ''
    const hex = Buffer.from(key.slice('SHA256:'.length), 'base64').toString('hex')
    const identity = join(ana.home, 'theirs')
    await copyFile(join(ana.env['FLEET_HOME'] ?? '', 'keys', hex), identity)
    expect(await fleet('forget', 'web-1')).toMatchObject({ code: 0 })

    const adopted = await fleet(
      ...['adopt', '--driver', 'aws', id, '--name', 'theirs', '--accept-new', '-i', identity],
    )
    expect(adopted).toMatchObject({ code: 0 })
    expect(await ana.inventory()).not.toContain('token:')
    expect(await stateOf()).toBe('running')
    expect(await fleet('plan')).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    expect(await fleet('rm', '-y', 'theirs')).toMatchObject({ code: 0 })
    expect(await instanceId()).toBe(id)

    const region = aws.environment['AWS_REGION'] ?? ''
    const store = join(ana.home, 'store')
    const folder = join(store, 'machines/old')
    await mkdir(folder, { recursive: true })
    await copyFile(identity, join(folder, 'id_rsa'))
    const machine = {
      ...{ IPAddress: '192.0.2.1', MachineName: 'old', SSHUser: 'fleet', SSHPort: 22 },
      ...{ InstanceId: id, Region: region, AccessKey: 'AKIA', SecretKey: 'hunter2' },
    }
    const config = { ConfigVersion: 3, DriverName: 'amazonec2', Driver: machine, Name: 'old' }
    await writeFile(join(folder, 'config.json'), JSON.stringify(config))
    expect(await fleet('import', 'docker-machine', store, '--accept-new')).toMatchObject({
      code: 0,
    })
    await rm(store, { recursive: true })
    const taken = await ana.inventory()
    expect(taken).toMatch(/old:\n {4}driver: aws\n/)
    expect(taken).not.toMatch(/token:|AKIA|hunter2|192\.0\.2\.1/)
    expect(await fleet('stop', 'old')).toMatchObject({ code: 0 })
    expect(await stateOf()).toBe('stopped')
    expect(await fleet('start', 'old')).toMatchObject({ code: 0 })
    expect(await fleet('ssh', 'old', '--', 'echo', 'in')).toMatchObject({ stdout: 'in\n' })
    expect(await fleet('rm', '-y', 'old')).toMatchObject({ code: 0 })

    const attributes = {
      ...{ arn: `arn:aws:ec2:${region}:123456789012:instance/${id}`, id },
      ...{ public_ip: '192.0.2.1', tags: { Name: 'formed' } },
    }
    const [mode, type, name] = ['managed', 'aws_instance', 'web']
    const resources = [{ mode, type, name, instances: [{ schema_version: 1, attributes }] }]
    const state = join(ana.home, 'terraform.tfstate')
    await writeFile(state, JSON.stringify({ version: 4, resources }))
    await mkdir(join(ana.home, '.ssh'), { recursive: true })
    await copyFile(identity, join(ana.home, '.ssh/id_ed25519'))
    const formed = await fleet('import', 'terraform', state, '--accept-new', '--user', 'fleet')
    expect(formed).toMatchObject({ code: 0 })
    expect(await ana.inventory()).toMatch(/formed:\n {4}driver: aws\n/)
    expect(await stateOf()).toBe('running')
    expect(await fleet('rm', '-y', 'formed')).toMatchObject({ code: 0 })
    expect(await instanceId()).toBe(id)
    const none = await fleet('adopt', '--driver', 'aws', 'i-0aaaaaaaaaaaaaaaa', '--accept-new')
    expect(none).toMatchObject({ code: 2 })
    expect(none.stderr).toContain('there is no instance i-0aaaaaaaaaaaaaaaa')
  })

  test('can be created, used for a container, and removed', async () => {
    aws.change({ lags: { hidden: 0 } }) // otherwise, lookups of hidden resources are repeated
    const created = await create('web-1', '--label', 'role=web', '--tags', 'team=blue')
    expect(created).toMatchObject({ code: 0, stdout: '' })
    expect(created.stderr).toContain('web-1 is ready')
    expect(aws.calls.filter(({ polling }) => !polling).length).toBeLessThanOrEqual(12)
    expect(aws.calls.map(({ outcome }) => outcome)).not.toContain('UnauthorizedOperation')

    const key = /key: (SHA256:\S+)/.exec(await ana.inventory())?.[1] ?? 'none'
    const count = `sudo grep "Accepted publickey" /var/log/sshd.log | grep -cF ${key}`
    const logins = await fleet('ssh', 'web-1', '--', count)
    expect(Number(logins.stdout)).toBeGreaterThan(1)
    expect(Number(logins.stdout) - 1).toBeLessThanOrEqual(3) // not counting the login of this command

    const { instances, groups, keyPairs } = await aws.world()
    for (const { tags } of [...instances, ...groups, ...keyPairs]) {
      expect(tags).toMatchObject({
        fleet: 'true',
        'fleet:id': '0123abcd',
        'fleet:machine': 'web-1',
        team: 'blue',
      })
    }
    const inventory = await ana.inventory()
    expect(inventory).toContain('token:')
    expect(inventory).not.toMatch(/PRIVATE KEY|AKIA|made-up/)
    const launch = aws.calls.find(({ action, executed }) => action === 'RunInstances' && executed)
    const sent = Buffer.from(launch?.parameters['UserData'] ?? '', 'base64').toString()
    const [, pinned = ''] = /hostKeys: \[(ssh-ed25519 [^\]]+)\]/.exec(inventory) ?? []
    expect(pinned).not.toBe('')
    expect(sent).not.toContain(pinned)

    const ran = await fleet('run', '--rm', 'bb:1', 'echo', 'hello from a container')
    expect(ran).toMatchObject({ code: 0, stdout: 'hello from a container\n' })

    expect(await fleet('rm', '-y', 'web-1')).toMatchObject({ code: 0 })
    await isEmpty()
    expect(await ana.inventory()).toContain('machines: {}')
  })

  test('can be stopped, started, restarted and killed, each with a new address, and checked by doctor', async () => {
    expect((await create('web-1')).code).toBe(0)
    await using checkIp = await startCheckIp()
    checkIp.address = '10.77.0.9'
    const doctor = async () => {
      const env = { ...aws.environment, FLEET_CHECKIP_URL: checkIp.url }
      return failuresOf((await ana.fleet(['doctor', 'web-1', '--json'], { env })).stdout)
    }
    expect(await doctor()).toEqual([])
    aws.change({ credentials: 'ExpiredToken' })
    expect(await doctor()).toMatchObject([
      { check: 'providers', message: expect.stringMatching(/^aws: .*expired/) },
    ])
    aws.change({ credentials: 'valid' })
    const { groups } = await aws.world()
    const rule = {
      GroupId: groups[0]?.id ?? '',
      'IpPermissions.1.IpProtocol': 'tcp',
      'IpPermissions.1.FromPort': '22',
      'IpPermissions.1.ToPort': '22',
      'IpPermissions.1.IpRanges.1.CidrIp': '10.77.0.0/16',
    }
    const { host } = aws.instance(await instanceId()).plan
    expect(await callEc2(aws, 'RevokeSecurityGroupIngress', rule)).toMatchObject({
      code: undefined,
    })
    await host.drop?.(true)
    expect(await doctor()).toMatchObject([
      {
        machine: 'web-1',
        check: 'port',
        message: expect.stringMatching(
          /the security group sg-\w+ does not allow SSH from this computer \(10\.77\.0\.9\)/,
        ),
        fix: expect.stringMatching(/allow TCP port 22 from 10\.77\.0\.9 in the security group sg-/),
      },
    ])
    await host.drop?.(false)
    await callEc2(aws, 'AuthorizeSecurityGroupIngress', rule)
    const before = (await fleet('ip', 'web-1')).stdout
    for (const _ of [1, 2]) expect((await fleet('stop', 'web-1')).code).toBe(0)
    expect(await stateOf()).toBe('stopped')
    expect(await doctor()).toMatchObject([
      {
        machine: 'web-1',
        check: 'host',
        message: 'the provider reports that the host is stopped',
        fix: 'fleet start web-1',
      },
    ])
    const refused = await fleet('-m', 'web-1', 'ps')
    expect(refused).toMatchObject({ code: 5 })
    expect(refused.stderr).toContain('fleet start web-1')

    for (const _ of [1, 2]) expect((await fleet('start', 'web-1')).code).toBe(0)
    const after = (await fleet('ip', 'web-1')).stdout
    expect(after).not.toBe(before)
    expect((await fleet('-m', 'web-1', 'ps')).code).toBe(0)
    expect((await fleet('restart', 'web-1')).code).toBe(0)
    expect(await stateOf()).toBe('running')
    for (const _ of [1, 2]) expect((await fleet('kill', 'web-1')).code).toBe(0)
    expect(await stateOf()).toBe('stopped')
    expect((await fleet('rm', '-y', 'web-1')).code).toBe(0)
    await isEmpty()
  })

  test('are found when their address was changed without fleet', async () => {
    expect((await create('web-1')).code).toBe(0)
    const before = (await fleet('ip', 'web-1')).stdout
    const id = await instanceId()
    for (const action of ['StopInstances', 'StartInstances']) {
      await callEc2(aws, action, { 'InstanceId.1': id })
      const state = action === 'StopInstances' ? 'stopped' : 'running'
      await until(state, () => aws.instance(id).state === state || undefined)
      await aws.instance(id).settled
    }
    expect(await fleet('-m', 'web-1', 'ps')).toMatchObject({ code: 0 })
    expect((await fleet('ip', 'web-1')).stdout).not.toBe(before)
  })

  test('at spot price are re-created by apply after EC2 reclaimed them', async () => {
    aws.change({ lags: { hidden: 0 } })
    expect(await create('web-1', '--no-engine', '--spot', 'only')).toMatchObject({ code: 0 })
    const first = await instanceId()
    const spot = aws.instance(first)
    await aws.reclaim(first)
    await until('it to be gone', async () => spot.state === 'terminated' || undefined)
    expect((await fleet('plan')).stdout).toContain(
      '-/+ web-1: replace (the provider reclaimed the host)',
    )
    const applied = await fleet('apply', '--yes')
    expect([applied.code, applied.stderr]).toEqual([0, expect.any(String)])
    expect(await fleet('ssh', 'web-1', '--', 'true')).toMatchObject({ code: 0 })
    const second = await instanceId()
    expect(second).not.toBe(first)
    // If the instance was terminated outside of fleet, the user has to decide what to do.
    expect(await callEc2(aws, 'TerminateInstances', { 'InstanceId.1': second })).toMatchObject({
      code: undefined,
    })
    await until(
      'it to be gone',
      async () => aws.instance(second).state === 'terminated' || undefined,
    )
    expect((await fleet('plan')).stdout).toContain('? web-1: the host no longer exists')
    expect(await fleet('rm', '-y', 'web-1')).toMatchObject({ code: 0 })
    await isEmpty()
  })

  test('are named in errors, with the failed step but no cleanup steps', async () => {
    aws.change({ lags: { hidden: 0 }, vcpuLimit: 0 })
    const refused = await create('web-1', '--no-engine')
    expect(refused.stderr).toMatch(/^web-1: failed: launch the instance /m)
    expect(refused.stderr).toMatch(/^fleet: web-1: the AWS account has reached a quota/m)
    aws.change({ vcpuLimit: 100 })
    expect(await create('web-1', '--no-engine')).toMatchObject({ code: 0 })
    aws.change({ denied: ['StopInstances', 'TerminateInstances', 'DescribeAddresses'] })
    for (const words of [['stop'], ['kill'], ['rm', '-y']]) {
      const { stderr, code } = await fleet(...words, 'web-1')
      expect(code).toBe(6)
      expect(stderr).toMatch(/^fleet: web-1: .*AWS does not allow/m)
    }
    aws.change({ denied: [] })
    expect(await fleet('rm', '-y', 'web-1')).toMatchObject({ code: 0 })
  })

  test('can be removed by rm after the provider has lost them', async () => {
    expect((await create('web-1', '--no-engine')).code).toBe(0)
    const id = await instanceId()
    await callEc2(aws, 'TerminateInstances', { 'InstanceId.1': id })
    await until('its end', () => aws.instance(id).state === 'terminated' || undefined)
    expect(await stateOf()).toBe('absent')
    expect((await fleet('rm', '-y', 'web-1')).code).toBe(0)
    await isEmpty()
  })

  test('can be created together, and the failure of one does not affect the others', async () => {
    aws.change({ instanceLimit: 2 })
    const created = await create('web', '--count', '3', '--no-engine')
    expect(created.code).toBe(1)
    expect(created.stderr).toMatch(/1 of 3 machines failed/)
    const world = await aws.world()
    expect(world.instances).toHaveLength(2)
    aws.change({ instanceLimit: 9 })
    const names = ['web-1', 'web-2', 'web-3']
    const again = await create('web', '--count', '3', '--no-engine')
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('already created') })
    expect((await aws.world()).instances).toHaveLength(3)
    expect((await fleet('rm', '-y', ...names)).code).toBe(0)
    await isEmpty()
  })

  test('get changed ports and SSH ranges, verified against the security group', async () => {
    aws.change({ lags: { hidden: 0 } })
    expect(await create('web-1', '--ssh-cidr', '10.77.3.4/16', '--ports', '443')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('10.77.3.4/16 covers the whole range 10.77.0.0/16'),
    })
    const group = (await aws.world()).groups[0]?.id ?? ''
    const rules = async () => {
      const described = await callEc2(aws, 'DescribeSecurityGroups', { 'GroupId.1': group })
      const text = JSON.stringify(described).replace(
        /"ipPermissionsEgress".*?(?="[a-z]+(?:Set|Id)")/,
        '',
      )
      return [...text.matchAll(/"(?:cidrIp|cidrIpv6)":"([^"]+)"/g)]
        .map(([, cidr = '']) => cidr)
        .sort((a, b) => a.localeCompare(b))
    }
    expect(await rules()).toEqual(['::/0', '0.0.0.0/0', '10.77.0.0/16'])
    // Another user opens the port for IPv4: EC2 then refuses a request for IPv4 and IPv6 as a whole.
    await callEc2(aws, 'AuthorizeSecurityGroupIngress', {
      ...{ GroupId: group, 'IpPermissions.1.IpProtocol': 'tcp', 'IpPermissions.1.FromPort': '80' },
      ...{ 'IpPermissions.1.ToPort': '80', 'IpPermissions.1.IpRanges.1.CidrIp': '0.0.0.0/0' },
    })
    expect(await fleet('set', 'web-1', 'ports=80,443', 'sshCidr=10.78.0.0/16')).toMatchObject({
      code: 0,
    })
    expect(await fleet('apply', '--yes')).toMatchObject({ code: 0 })
    expect(await rules()).toEqual(['::/0', '::/0', '0.0.0.0/0', '0.0.0.0/0', '10.78.0.0/16'])
    expect((await fleet('rm', '-y', 'web-1')).code).toBe(0)
    await isEmpty()
  })

  test('run again if EC2 refuses the change for which they were stopped', async () => {
    aws.change({ lags: { hidden: 0 } })
    expect(await create('web-1', '--no-engine')).toMatchObject({ code: 0 })
    expect(await fleet('set', 'web-1', 'type=t3.medium')).toMatchObject({ code: 0 })
    aws.inject({
      kind: 'error',
      code: 'InvalidInstanceAttributeValue',
      action: 'ModifyInstanceAttribute',
      status: 400,
    })
    const refused = await fleet('apply', '--yes')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(
      /web-1 was not changed: .*; the host was stopped .* and is running again/,
    )
    expect(aws.instance(await instanceId()).state).toBe('running')
    await expect
      .poll(async () => (await fleet('ssh', 'web-1', '--', 'true')).code, { timeout: 60_000 })
      .toBe(0)

    aws.inject({
      kind: 'error',
      code: 'InvalidInstanceAttributeValue',
      action: 'ModifyInstanceAttribute',
      status: 400,
    })
    aws.inject({ kind: 'error', code: 'InvalidHostState', action: 'StartInstances', status: 400 })
    const stuck = await fleet('apply', '--yes')
    expect(stuck.code).toBe(1)
    expect(stuck.stderr).toMatch(
      /web-1 was not changed: .* is still stopped, because it did not start/,
    )
    expect(stuck.stderr).toContain('fleet start web-1')
    expect((await fleet('rm', '-y', 'web-1')).code).toBe(0)
    await isEmpty()
  })

  test('without an entry are found and removed by gc, and no others', async () => {
    expect((await create('web-1', '--no-engine')).code).toBe(0)
    const inventory = await ana.inventory()
    expect((await create('web-2', '--no-engine')).code).toBe(0)
    await writeFile(join(ana.folder, 'machines.yaml'), inventory) // as a git checkout would
    const listed = await fleet('gc')
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining('web-2') })
    expect(listed.stdout).not.toContain('web-1')
    expect(listed.stdout).toMatch(/web-2\t.* ago\t\S+@\S+\t.*the host is less than a day old/)
    expect(listed.stderr).toContain('may belong to another clone of this inventory')
    const plan = await fleet('plan')
    expect(plan.stdout + plan.stderr).toMatch(/has no entry for .* \(created by \S+@\S+/)
    expect(plan.stdout + plan.stderr).not.toContain('gc --yes')
    expect((await fleet('gc', '--yes')).code).toBe(0)
    expect((await aws.world()).instances).toHaveLength(2)
    expect((await fleet('gc', 'web-9', '--yes')).code).toBe(3)
    expect((await fleet('gc', 'web-2', '--yes')).code).toBe(0)
    expect((await aws.world()).instances.map(({ tags }) => tags['fleet:machine'])).toEqual([
      'web-1',
    ])
    expect(await fleet('gc')).toMatchObject({ code: 0, stdout: '' })
    expect(await fleet('-m', 'web-1', 'ssh', 'true')).toMatchObject({ code: 0 })
  })

  test('are found by gc in all previous regions, and failed queries are reported', async () => {
    expect((await create('web-1', '--no-engine', '--region', 'eu-central-1')).code).toBe(0)
    expect((await fleet('forget', 'web-1')).code).toBe(0)
    await writeFile(join(ana.folder, 'machines.yaml'), 'version: 1\nid: 0123abcd\nmachines: {}\n')
    const plan = await fleet('plan')
    expect(plan.stdout + plan.stderr).not.toContain('web-1')
    const listed = await fleet('gc')
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining('eu-central-1') })
    aws.inject({
      kind: 'error',
      code: 'UnauthorizedOperation',
      action: 'DescribeInstances',
      times: 99,
    })
    const blind = await fleet('gc')
    expect(blind).toMatchObject({ code: 1, stdout: '' })
    expect(blind.stderr).toMatch(/could not query aws: .*eu-central-1/)
    expect(blind.stderr).toContain(
      'no unmanaged hosts were found, but not all providers could be queried',
    )
    aws.clearFaults()
    expect((await fleet('gc', 'web-1', '--yes')).code).toBe(0)
    await isEmpty()
  })

  test('leave nothing behind if creation fails with --rollback', async () => {
    aws.onCall((phase, { action }) =>
      phase === 'before' && action === 'ImportKeyPair' ? 'drop' : undefined,
    )
    expect((await create('web-1', '--rollback')).code).toBe(5)
    await isEmpty()
    expect(await ana.inventory()).toContain('machines: {}')
  })

  test('can be finished or removed after Ctrl-C, with a hint and exit code 130', async () => {
    let pid = 0
    aws.onCall((phase, { action }) => {
      if (phase === 'after' && action === 'ImportKeyPair') process.kill(pid, 'SIGINT')
    })
    const stopped = await ana.fleet(
      ['create', 'web-1', '--driver', 'aws', '--ssh-cidr', '10.77.0.0/16', '--no-engine'],
      { env: aws.environment, started: (started) => (pid = started) },
    )
    aws.clearFaults()
    expect(stopped.code).toBe(130)
    expect(stopped.stderr).toContain('fleet create web-1')
    expect(stopped.stderr).toContain('fleet rm web-1')
    expect(await fleet('ls')).toMatchObject({ stdout: expect.stringContaining('creating') })
    expect((await fleet('create', 'web-1')).code).toBe(0)
    expect((await aws.world()).instances).toHaveLength(1)
  })

  test('keep their entry if something cannot be removed, which is named', async () => {
    expect((await create('web-1', '--no-engine')).code).toBe(0)
    aws.change({ denied: ['DeleteKeyPair'] })
    const refused = await fleet('rm', '-y', 'web-1')
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toMatch(/key pair/)
    expect(await ana.inventory()).toContain('phase: removing')
    aws.change({ denied: [] })
    expect((await fleet('rm', '-y', 'web-1')).code).toBe(0)
    await isEmpty()
  })

  test.each([
    [
      'a region that does not exist',
      ['--region', 'xx-nowhere-1'],
      2,
      /no AWS region "xx-nowhere-1"/,
    ],
    ['an unknown instance type', ['--type', 'z9.tiny'], 2, /z9\.tiny/],
    ['an unknown image ID', ['--image', 'ami-0123456789abcdef0'], 2, /ami-0123456789abcdef0/],
    ['an unknown image name', ['--image', 'beos-5'], 2, /debian-13/],
    ['an unknown subnet', ['--subnet', 'subnet-0123456789abcdef0'], 2, /subnet-0123456789abcdef0/],
    ['a user-data file that does not exist', ['--user-data', 'no.yaml'], 2, /no\.yaml/],
    ['an invalid port', ['--ports', '99999'], 2, /ports/],
  ])('are refused with %s, and nothing is left', async (_, words, code, says) => {
    const before = await ana.inventory()
    const refused = await create('web-1', ...words)
    expect(refused.stderr).toMatch(says)
    expect(refused.code).toBe(code)
    expect(await ana.inventory()).toBe(before)
    await isEmpty()
  })

  test.each([
    ['expired credentials', { credentials: 'ExpiredToken' }, 6, /expired/i],
    ['no default VPC', { defaultVpc: false }, 2, /VPC/],
    ['an exhausted quota', { vcpuLimit: 0 }, 1, /quota|limit/i],
    ['a missing permission', { denied: ['RunInstances'] }, 6, /not allow.*\n.*required IAM policy/],
  ] as const)('are not created with %s, and nothing is left', async (_, settings, code, says) => {
    aws.change(settings)
    const before = await ana.inventory()
    const refused = await create('web-1')
    expect(refused.stderr).toMatch(says)
    expect(refused.code).toBe(code)
    expect(await ana.inventory()).toBe(before)
    aws.change({ credentials: 'valid' })
    await isEmpty()
  })
})

describe.skipIf(!labIsHere)('a machine on AWS that boots', () => {
  test("runs cloud-init with the user's own user-data, and runs a container", async () => {
    await using aws = await startAws({ hosts: 'booted' })
    await using ana = await makeTestUser()
    const env = aws.environment
    const own = '#cloud-config\nwrite_files:\n  - path: /etc/of-ana\n    content: hers\n'
    await writeFile(join(ana.folder, 'own.yaml'), own)
    const created = await ana.fleet(
      [
        ...['create', 'web-1', '--driver', 'aws', '--image', 'debian-12'],
        ...['--ssh-cidr', '10.77.0.0/16', '--user-data', 'own.yaml'],
      ],
      { env },
    )
    expect(created.stderr).toMatch(/web-1 is ready: Debian.*Docker \d/)
    expect(created.code).toBe(0)
    expect((await ana.fleet(['ssh', 'web-1', '--', 'cat', '/etc/of-ana'], { env })).stdout).toBe(
      'hers',
    )
    const root = join(ana.folder, 'root')
    await makeBaseRoot(root)
    await runProgram(['tar', '-C', root, '-cf', `${root}.tar`, '.'])
    const imported = await ana.fleet(['image', 'import', `${root}.tar`, 'bb:1'], { env })
    expect(imported.code).toBe(0)
    const ran = await ana.fleet(['run', '--rm', 'bb:1', 'echo', 'hello'], { env })
    expect(ran).toMatchObject({ code: 0, stdout: 'hello\n' })
    expect((await ana.fleet(['restart', 'web-1'], { env })).code).toBe(0)
    expect((await ana.fleet(['-m', 'web-1', 'ps'], { env })).code).toBe(0)
    expect((await ana.fleet(['rm', '-y', 'web-1'], { env })).code).toBe(0)
    expect(await aws.world()).toEqual(nothing)
    expect(await readFile(join(ana.folder, 'own.yaml'), 'utf8')).toBe(own)
  })
})
