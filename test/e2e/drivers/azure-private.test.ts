import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Host, type HostSource } from '../../support/aws/hosts/hosts.ts'
import { makeLabHosts } from '../../support/aws/hosts/lab-hosts.ts'
import { type AzureStandIn, startAzure } from '../../support/azure/azure.ts'
import { type AzureCli, makeAzureCli } from '../../support/azure/cli/azure-cli.ts'
import { hostsBehind } from '../../support/azure/computers.ts'
import { addBastion, addNetwork } from '../../support/azure/networks.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { until } from '../../support/lab/process.ts'
import { processesWith, untilGone } from '../../support/ssh/proxy.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

/** Part of the command line of each tunnel. */
const tunnel = '--target-resource-id='

describe.skipIf(!labIsHere)('private hosts in Azure', { timeout: 120_000 }, () => {
  let hosts: HostSource
  let azure: AzureStandIn
  let cli: AzureCli
  let ana: TestUser
  let bastion: string

  beforeAll(async () => {
    hosts = await makeLabHosts({ engine: true, spare: 1 })
    cli = await makeAzureCli()
    let leased: Host | undefined
    const lease = async () => (leased = await hosts.lease())
    const { computers, newPublicAddress } = hostsBehind({ ...hosts, lease })
    azure = await startAzure({
      newPublicAddress,
      computers: {
        ...computers,
        async boot(boot, first) {
          await computers.boot(boot, first)
          await cli.addHost(boot.name, leased?.privateAddress ?? '')
        },
      },
    })
    azure.retryAfter = '1'
    bastion = addBastion(azure, 'door', addNetwork(azure))
    ana = await makeTestUser({ broker: true })
  })
  beforeEach(async () => {
    await cli.mode('')
    await cli.forgetCalls()
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await azure[Symbol.asyncDispose]()
    await hosts[Symbol.asyncDispose]()
    await cli[Symbol.asyncDispose]()
  })

  const fleet = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    ana.fleet(args, { env: { ...azure.env, PATH: `${cli.folder}:${ana.env['PATH']}`, ...env } })
  const succeed = async (...args: Parameters<typeof fleet>): Promise<string> => {
    const { code, stderr, stdout } = await fleet(...args)
    expect([code, stderr]).toEqual([0, expect.any(String)])
    return stdout
  }
  const alone = { FLEET_BROKER: 'off' }
  const use = async (env: Readonly<Record<string, string>> = {}) =>
    (await fleet(['ssh', 'web-1', '--', 'true'], { ...alone, ...env })).stderr
  const rewrite = async (change: (text: string) => string) =>
    writeFile(join(ana.folder, 'machines.yaml'), change(await ana.inventory()))
  const tunnels = async () => (await cli.calls()).filter(([word]) => word === 'network')

  test('are created and used through a Bastion with one tunnel, and leave no process', async () => {
    await cli.showOnlyErrors(true) // the port is printed nevertheless
    const where = ['--location', 'westeurope', '--subnet', 'net/main/hosts', '--private-only']
    await succeed(['create', 'web-1', '--driver', 'azure', ...where, '--reach', 'bastion'])
    const inventory = await ana.inventory()
    expect(inventory).toContain(`bastion: ${bastion}`)
    const [, id = ''] = /id: (\/subscriptions\S+)/.exec(inventory) ?? []
    expect(await tunnels()).toContainEqual([
      ...['network', 'bastion', 'tunnel', '--name=door', '--resource-group=net'],
      ...[`--subscription=${azure.subscription}`, `${tunnel}${id}`],
      ...['--resource-port=22', '--port=0'],
    ])
    expect(await fleet(['plan'])).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    await succeed(['broker', 'stop'])
    await untilGone(tunnel)
    await cli.forgetCalls()
    for (let time = 0; time < 3; time += 1) {
      expect(await succeed(['ssh', 'web-1', '--', 'echo $USER'])).toBe('fleet\n')
      await succeed(['ps', '-m', 'web-1'])
    }
    expect(await tunnels()).toHaveLength(1)

    // A tunnel that dies is reopened.
    const [program] = await processesWith(tunnel)
    process.kill(program ?? 0, 'SIGUSR2')
    await until('the end of the tunnel', () => !existsSync(`/proc/${program}`) || undefined)
    expect(await succeed(['ssh', 'web-1', '--', 'echo $USER'])).toBe('fleet\n')
    expect(await tunnels()).toHaveLength(2)

    // Plain ssh cannot use the tunnel.
    const exported = await fleet(['ssh-config'])
    expect(exported.stdout).not.toContain('web-1')
    expect(exported.stderr).toMatch(/only fleet can connect to: web-1/)

    // The session at the Bastion is closed, just as it is after Ctrl-C.
    await cli.forgetCalls()
    await succeed(['broker', 'stop'])
    await untilGone(tunnel)
    expect(await cli.calls()).toContainEqual(['session deleted'])
  })

  test('can be used with the openssh client, too', async () => {
    const env = { ...alone, FLEET_SSH: 'openssh' }
    expect(await succeed(['ssh', 'web-1', '--', 'echo $USER'], env)).toBe('fleet\n')
    await untilGone(tunnel)
  })

  test('fail with the error output of the program, and a hint', async () => {
    const pinned = await ana.inventory()
    const other = 'AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB'
    await rewrite((text) => text.replace(/ssh-ed25519 AAAA[\w+/=]+/, `ssh-ed25519 ${other}`))
    expect(await use()).toContain('host key for web-1')
    await rewrite((text) =>
      text.replace(/bastion: \/subscriptions\S+/, 'bastion: "/x --debug"').replace(other, other),
    )
    expect(await use()).toContain('invalid Bastion ID under "host:" in the inventory')
    await rewrite(() => pinned)

    await cli.mode('denied')
    expect(await use()).toMatch(
      /az exited with code 1: .*\(AuthorizationFailed\)[\s\S]*Reader role on the Bastion/,
    )
    await cli.mode('login')
    expect(await use()).toMatch(/run 'az login'[\s\S]*log in: az login/)
    await cli.mode('no-extension')
    expect(await use()).toMatch(
      /requires the extension bastion[\s\S]*az extension add --name bastion/,
    )
    await cli.mode('refused')
    expect(await use()).toMatch(
      /az exited with code 0: .*not reachable from the Bastion[\s\S]*AzureBastionSubnet/,
    )
    await cli.install(false)
    // PATH excludes the directories in which the computer may have the real program.
    expect(await use({ PATH: cli.folder })).toMatch(
      /az is not installed on this computer[\s\S]*install the Azure CLI/,
    )
    await cli.install()
    expect(await processesWith(tunnel)).toEqual([])
  })

  test('can change their route, and are adopted by their ID', async () => {
    await succeed(['set', 'web-1', 'reach=direct'])
    expect((await fleet(['plan', '--skip-hosts'])).stdout).toContain('reach bastion -> direct')
    const gate = addBastion(azure, 'gate', addNetwork(azure))
    await succeed(['set', 'web-1', 'reach=bastion', 'bastion=net/gate'])
    const calls = azure.exchanges.length
    expect((await fleet(['plan'])).stdout).toContain('bastion net/door -> net/gate')
    await succeed(['apply', '--yes'])
    const changing = azure.exchanges.slice(calls).filter(({ request }) => request.method !== 'GET')
    expect(changing.filter(({ request }) => !request.host.startsWith('login.'))).toEqual([])
    expect(await ana.inventory()).toContain(`bastion: ${gate}`)
    await cli.forgetCalls()
    expect(await succeed(['ssh', 'web-1', '--', 'echo $USER'], alone)).toBe('fleet\n')
    expect((await tunnels())[0]).toContain('--name=gate')

    const [, id = ''] = /id: (\/subscriptions\S+)/.exec(await ana.inventory()) ?? []
    const identity = await keyOf()
    const bob = await makeTestUser({ identity })
    try {
      const env = { ...azure.env, PATH: `${cli.folder}:${ana.env['PATH']}` }
      const words = [
        '--name',
        'web-9',
        '--private-only',
        '--reach',
        'bastion',
        '--bastion',
        'net/door',
        '--accept-new',
      ]
      const adopted = await bob.fleet(['adopt', '--driver', 'azure', id, ...words], { env })
      expect([adopted.code, adopted.stderr]).toEqual([0, expect.any(String)])
      const used = await bob.fleet(['ssh', 'web-9', '--', 'echo $USER'], { env })
      expect(used.stdout).toBe('fleet\n')
    } finally {
      await bob[Symbol.asyncDispose]()
    }
  })

  test('are removed, and existing resources remain', async () => {
    await succeed(['rm', '-y', 'web-1'])
    expect(azure.remains()).toHaveLength(4) // the group, the network and two Bastions
    expect(azure.remains()).toContain(bastion)
    await untilGone(tunnel)
  })

  /** Resolves to the path of the login key that fleet created for the host. */
  async function keyOf(): Promise<string> {
    const folder = join(ana.home, 'fleet/keys')
    const name = (await readdir(folder)).find((one) => !one.endsWith('.json'))
    return join(folder, name ?? '')
  }
})
