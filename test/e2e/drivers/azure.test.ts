import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HostSource } from '../../support/aws/hosts/hosts.ts'
import { makeLabHosts } from '../../support/aws/hosts/lab-hosts.ts'
import { type AzureStandIn, type Fault, startAzure } from '../../support/azure/azure.ts'
import { hostsBehind } from '../../support/azure/computers.ts'
import { testDescribed } from '../../support/azure/described.ts'
import { Refusal } from '../../support/azure/exchange.ts'
import { resourcesOf } from '../../support/azure/store.ts'
import { failuresOf } from '../../support/doctor-findings.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

describe.skipIf(!labIsHere)('fleet with hosts in Azure', () => {
  let hosts: HostSource
  let behind: ReturnType<typeof hostsBehind>
  let azure: AzureStandIn
  let ana: TestUser
  /** Everything that fleet has printed or written. */
  const said: string[] = []

  beforeAll(async () => {
    hosts = await makeLabHosts({ engine: true })
    behind = hostsBehind(hosts)
    azure = await startAzure(behind)
    azure.retryAfter = '1'
    ana = await makeTestUser()
  })
  afterAll(async () => {
    await azure[Symbol.asyncDispose]()
    await hosts[Symbol.asyncDispose]()
    await ana[Symbol.asyncDispose]()
  })

  async function fleet(args: readonly string[], started: (pid: number) => void = () => {}) {
    const answer = await ana.fleet(args, { env: azure.env, started })
    said.push(answer.stdout, answer.stderr, await ana.inventory())
    return answer
  }
  async function expectOk(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await fleet(args)
    expect({ args, code, ...(code !== 0 && { stderr }) }).toEqual({ args, code: 0 })
    return stdout
  }
  const create = ['create', 'web-1', '--driver', 'azure', '--location', 'westeurope']
  /** Resolves to the failures that `fleet doctor web-1` reports. */
  const doctor = async (env: Readonly<Record<string, string>> = {}) => {
    const words = ['doctor', 'web-1', '--json']
    const { stdout, stderr } = await ana.fleet(words, { env: { ...azure.env, ...env } })
    said.push(stdout, stderr)
    return failuresOf(stdout)
  }
  const greet = () => expectOk('-m', 'web-1', 'run', '--rm', 'bb:1', 'echo', 'hello')

  test('exits with the usage exit code for an unknown location, and leaves nothing', async () => {
    const { code, stderr } = await fleet([...create.slice(0, -1), 'westeurop'])
    expect(code).toBe(2)
    expect(stderr).toContain('did you mean westeurope?')
    expect(azure.remains()).toEqual([])
    expect(await ana.inventory()).not.toContain('web-1')
  })

  test('creates a host that runs containers, is found at new addresses, stopped, started and removed', async () => {
    await expectOk(...create)
    expect(await greet()).toBe('hello\n')
    expect(azure.remains()).toHaveLength(8)

    expect(await expectOk('plan')).toBe('nothing to do\n')
    await expectOk('set', 'web-1', 'size=Standard_D2s_v5', 'disk=64', 'tags=team=red', 'ports=80')
    expect((await fleet(['plan'])).stdout).toContain(
      '~ web-1: change (size Standard_B2als_v2 -> Standard_D2s_v5, disk unknown -> 64, tags none -> team=red, ports none -> 80/tcp; the host will be stopped temporarily)',
    )
    await expectOk('apply', '--yes')
    expect(await expectOk('plan')).toBe('nothing to do\n')
    expect(await greet()).toBe('hello\n')
    expect(azure.remains()).toHaveLength(8)

    const name = /name: (web-1-\S+?)[,\s}]/.exec(await ana.inventory())?.[1] ?? ''
    const other = await hosts.newAddress()
    azure.moveAddress(name, other)
    await behind.answerOn(name, other)
    expect(await greet()).toBe('hello\n')
    expect(await ana.inventory()).toContain(other)

    expect(await doctor()).toEqual([])
    expect(await doctor({ AZURE_CLIENT_SECRET: 'wrong' })).toMatchObject([
      { check: 'providers', message: expect.stringMatching(/^azure: /) },
    ])
    const [group] = resourcesOf(azure.store, 'Microsoft.Network/networkSecurityGroups')
    if (group === undefined) throw new Error('there is no security group')
    const { securityRules } = group.body.properties
    group.body.properties = { ...group.body.properties, securityRules: [] }
    await behind.drop(name, true)
    expect(await doctor()).toMatchObject([
      {
        machine: 'web-1',
        check: 'port',
        message: expect.stringMatching(
          /the network security group \S+ does not allow SSH from this computer \(198\.51\.100\.7\)/,
        ),
        fix: expect.stringContaining('allow TCP port 22 from 198.51.100.7'),
      },
    ])
    await behind.drop(name, false)
    group.body.properties = { ...group.body.properties, securityRules }

    await expectOk('stop', 'web-1')
    expect(await doctor()).toMatchObject([
      {
        machine: 'web-1',
        check: 'host',
        message: 'the provider reports that the host is stopped',
        fix: 'fleet start web-1',
      },
    ])
    const another = await hosts.newAddress()
    azure.moveAddress(name, another)
    await expectOk('start', 'web-1')
    expect(await ana.inventory()).toContain(another)
    expect(await greet()).toBe('hello\n')
    expect(await expectOk('ls', '--live')).toMatch(/web-1.*running/)

    await expectOk('rm', '-y', 'web-1')
    expect(azure.remains()).toEqual([])
    expect(await ana.inventory()).not.toContain('web-1')
  })

  test("adopts another user's host by its ID or from Docker Machine, and never removes it", async () => {
    await expectOk(...create)
    const inventory = await ana.inventory()
    const key = /key: SHA256:(\S+)/.exec(inventory)?.[1] ?? ''
    const [, group = '', machine = ''] =
      /resourceGroups\/([^/]+)\/.*virtualMachines\/([\w-]+)/.exec(inventory) ?? []
    const identity = join(ana.home, 'theirs')
    const hex = Buffer.from(key, 'base64').toString('hex')
    await copyFile(join(ana.env['FLEET_HOME'] ?? '', 'keys', hex), identity)
    await expectOk('forget', 'web-1')
    const there = azure.remains()

    const id = `${group}/${machine}`
    await expectOk('adopt', '--driver', 'azure', id, '--accept-new', '-i', identity)
    expect(await ana.inventory()).not.toContain('token:')
    expect(await expectOk('plan')).toBe('nothing to do\n')
    await expectOk('rm', '-y', machine)

    const folder = join(ana.home, 'store/machines', machine)
    await mkdir(folder, { recursive: true })
    await copyFile(identity, join(folder, 'id_rsa'))
    // Docker Machine records no address for Azure hosts.
    const driver = {
      ...{ IPAddress: '', MachineName: machine, SSHUser: 'fleet', SSHPort: 22 },
      ...{ ResourceGroup: group, SubscriptionID: azure.subscription, ClientSecret: 'hunter2' },
    }
    const config = { ConfigVersion: 3, DriverName: 'azure', Driver: driver, Name: machine }
    await writeFile(join(folder, 'config.json'), JSON.stringify(config))
    const taking = ['import', 'docker-machine', join(ana.home, 'store'), '--accept-new']
    const alone = await ana.fleet(taking)
    expect(alone.code).not.toBe(0)
    expect(alone.stderr).toContain("cannot get the host's address from the azure driver")
    await expectOk(...taking)
    await rm(join(ana.home, 'store'), { recursive: true })
    expect(await ana.inventory()).not.toMatch(/token:|hunter2/)
    await expectOk('stop', machine)
    expect(await expectOk('ls', '--live')).toMatch(/stopped/)
    await expectOk('start', machine)
    expect(await expectOk('ssh', machine, '--', 'echo', 'in')).toBe('in\n')
    await expectOk('rm', '-y', machine)
    expect(azure.remains()).toEqual(there)
    await expectOk('gc', 'web-1', '--driver', 'azure', '-y')
  })

  test('finds and removes a host without an entry', async () => {
    await expectOk(...create)
    await expectOk('forget', 'web-1')
    expect(azure.remains()).toHaveLength(8)
    expect(await expectOk('gc', 'web-1', '--driver', 'azure', '-y')).toContain('web-1')
    expect(azure.remains()).toEqual([])
  })

  test.each<[string, Fault['when']]>([
    ['PUT resourceGroup', 'after'],
    ['PUT Microsoft.Network/networkSecurityGroups', 'after'],
    ['PUT Microsoft.Network/publicIPAddresses', 'after'],
    ['PUT Microsoft.Network/virtualNetworks', 'after'],
    ['PUT Microsoft.Network/networkInterfaces', 'after'],
    ['PUT Microsoft.Compute/virtualMachines', 'before'],
    ['PUT Microsoft.Compute/virtualMachines', 'after'],
  ])('resumes with a single host after a kill at %s (%s)', async (point, when) => {
    let pid = 0
    azure.onCall = (operation) => {
      if (operation !== point) return undefined
      process.kill(pid, 'SIGKILL')
      azure.onCall = undefined
      return { when, how: 'hang' }
    }
    const { code } = await fleet(create, (started) => {
      pid = started
    })
    expect(code).toBe(-2)
    await expectOk('create', 'web-1')
    expect(await greet()).toBe('hello\n')
    expect(azure.remains()).toHaveLength(8)
    await expectOk('rm', '-y', 'web-1')
    expect(azure.remains()).toEqual([])
  })

  test('creates the host with another size if there is no capacity, as the hint suggests', async () => {
    azure.allocation = () => new Refusal(409, 'AllocationFailed', 'No room. Try later.')
    const { code, stderr } = await fleet(create)
    azure.allocation = () => undefined
    expect(code).toBe(1)
    expect(stderr).toMatch(/web-1: Azure has no capacity.*\n.*another --size/)
    await expectOk('create', 'web-1', '--size', 'Standard_D2s_v5')
    expect(await expectOk('plan')).toBe('nothing to do\n')
    expect(await ana.inventory()).toContain('size: Standard_D2s_v5')
    await expectOk('rm', '-y', 'web-1')
    expect(azure.remains()).toEqual([])
  })

  test('prints and writes no secrets', () => {
    const all = said.join('\n')
    expect(all).toContain('web-1')
    const signed = azure.exchanges.flatMap(({ answer }) => Object.values(answer.headers ?? {}))
    const claims = signed.flatMap((url) => /&c=([^&]+)/.exec(url)?.[1] ?? [])
    expect(claims.length).toBeGreaterThan(0)
    const customData = azure.exchanges.flatMap(
      ({ request }) => /"customData":"([^"]+)"/.exec(request.text)?.[1] ?? [],
    )
    expect(customData.length).toBeGreaterThan(0)
    const { tokens, clientSecret } = azure.login
    for (const secret of [...tokens, clientSecret, ...claims, ...customData, 'PRIVATE KEY']) {
      expect(all).not.toContain(secret)
    }
  })

  testDescribed(() => azure.exchanges)
})
