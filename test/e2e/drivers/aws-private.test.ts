import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import { type AwsCli, makeAwsCli } from '../../support/aws/cli/aws-cli.ts'
import { failuresOf } from '../../support/doctor-findings.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { until } from '../../support/lab/process.ts'
import { processesWith, untilGone } from '../../support/ssh/proxy.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

describe.skipIf(!labIsHere)('private hosts on AWS', () => {
  let aws: Aws
  let cli: AwsCli
  let ana: TestUser

  beforeAll(async () => {
    aws = await startAws({ hosts: 'lab', lab: { engine: true }, lags: { hidden: 0 } })
    cli = await makeAwsCli()
    ana = await makeTestUser({ broker: true })
  })
  beforeEach(async () => {
    await cli.mode('')
    await cli.forgetCalls()
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await cli[Symbol.asyncDispose]()
    await aws[Symbol.asyncDispose]()
  })

  const path = () => `${cli.folder}:${ana.env['PATH']}`
  const fleet = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    ana.fleet(args, { env: { ...aws.environment, PATH: path(), ...env } })
  const succeed = async (...args: Parameters<typeof fleet>): Promise<void> => {
    const { code, stderr } = await fleet(...args)
    expect([code, stderr]).toEqual([0, expect.any(String)])
  }
  const alone = { FLEET_BROKER: 'off' }
  const create = (name: string, ...more: string[]) =>
    fleet(['create', name, '--driver', 'aws', '--private-only', ...more])
  const ssm = ['--reach', 'ssm', '--image', 'ubuntu-24.04']
  const rewrite = async (change: (text: string) => string) =>
    writeFile(join(ana.folder, 'machines.yaml'), change(await ana.inventory()))

  test('are created, used and removed through Session Manager, without an open port or a process left', async () => {
    await cli.mode('late 2') // the agent registers some time after the boot
    const made = await create('web-1', ...ssm)
    expect(made).toMatchObject({ code: 0 })
    expect(made.stderr).toContain('Default Host Management')
    const { instances, groups } = await aws.world()
    const id = instances[0]?.id ?? ''
    expect(groups).toHaveLength(1)
    expect(aws.calls.map(({ action }) => action)).not.toContain('AuthorizeSecurityGroupIngress')
    expect((await cli.calls()).length).toBeGreaterThan(2)
    expect((await cli.calls())[0]).toEqual([
      ...['ssm', 'start-session', `--target=${id}`, '--document-name=AWS-StartSSHSession'],
      ...['--parameters=portNumber=22', '--region=eu-west-1'],
    ])
    expect(await ana.inventory()).toMatch(/\n {8}reach: ssm\n/)

    expect(await fleet(['plan'])).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    await succeed(['broker', 'stop'])

    // Nothing answers at this address, so the instance ID must be used.
    await rewrite((text) => text.replace(/address: \S+/, 'address: 10.99.99.99'))
    await cli.forgetCalls()
    await cli.mode('')
    for (let time = 0; time < 3; time += 1) {
      await succeed(['ps', '-m', 'web-1'])
      expect((await fleet(['ssh', 'web-1', '--', 'echo $USER'])).stdout).toBe('fleet\n')
    }
    expect(await cli.calls()).toHaveLength(1)
    expect((await fleet(['broker', 'status'])).stdout).toMatch(/web-1.*connected/)

    // A tunnel that dies is reopened.
    const [plugin] = await processesWith('StartSession')
    process.kill(plugin ?? 0, 'SIGUSR2')
    await until('the end of the plugin', () => !existsSync(`/proc/${plugin}`) || undefined)
    expect((await fleet(['ssh', 'web-1', '--', 'echo $USER'])).stdout).toBe('fleet\n')
    expect(await cli.calls()).toHaveLength(2)

    // The pinned host key is verified here, too.
    const pinned = await ana.inventory()
    const other = 'AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB'
    await rewrite((text) => text.replace(/ssh-ed25519 AAAA[\w+/=]+/, `ssh-ed25519 ${other}`))
    const changed = await fleet(['ssh', 'web-1', '--', 'true'])
    expect(changed.stderr).toContain('host key for web-1')
    await rewrite(() => pinned)

    await succeed(['broker', 'stop'])
    await untilGone('StartSession')
  })

  test('fail with the error output of the program, and a hint', async () => {
    const use = () => fleet(['ssh', 'web-1', '--', 'true'], alone)
    const doctor = async () =>
      failuresOf((await fleet(['doctor', 'web-1', '--json'], alone)).stdout).map(
        ({ check, message, fix }) => `${check}: ${message}; ${fix}`,
      )
    expect(await doctor()).toEqual([])
    await cli.mode('denied')
    expect((await use()).stderr).toMatch(
      /cannot reach web-1 .*: aws exited with code 254: .*not authorized to perform: ssm:StartSession[\s\S]*ssm:StartSession permission/,
    )
    await cli.mode('offline')
    expect((await use()).stderr).toMatch(
      /TargetNotConnected[\s\S]*is not connected[\s\S]*AmazonSSMManagedInstanceCore/,
    )
    expect(await doctor()).toEqual([
      expect.stringMatching(/^route: .*TargetNotConnected.*; .*AmazonSSMManagedInstanceCore/s),
    ])
    await cli.mode('')
    expect((await fleet(['ssh', 'web-1', '--', 'true'], { ...alone, AWS_PROFILE: '' })).code).toBe(
      0,
    )
    await cli.install('session-manager-plugin', false)
    expect((await use()).stderr).toMatch(
      /exited with code 255: .*SessionManagerPlugin is not found[\s\S]*install the Session Manager plugin/,
    )
    expect(await doctor()).toEqual([
      expect.stringMatching(
        /^route: .*SessionManagerPlugin is not found.*; .*install the Session/s,
      ),
    ])
    const unmade = await create('web-2', ...ssm)
    expect(unmade.code).not.toBe(0)
    expect(unmade.stderr).toMatch(
      /--reach ssm requires the session-manager-plugin program[\s\S]*install/,
    )
    await cli.install('aws', false)
    // PATH excludes the directories in which the computer may have the real program.
    const missing = await fleet(['ssh', 'web-1', '--', 'true'], { ...alone, PATH: cli.folder })
    expect(missing.stderr).toMatch(
      /aws is not installed on this computer[\s\S]*install the AWS CLI/,
    )
    await cli.install('aws')
    await cli.install('session-manager-plugin')
    await rewrite((text) => text.replace('        reach: ssm', '        reach: --help'))
    expect((await use()).stderr).toContain(
      'invalid "reach" under "host:" in the inventory: "--help"',
    )
    await rewrite((text) => text.replace('reach: --help', 'reach: ssm'))
    expect(await processesWith('StartSession')).toEqual([])
  })

  test('are reached through an Instance Connect Endpoint after changing only the record', async () => {
    await succeed(['set', 'web-1', 'reach=eice'])
    const before = aws.calls.length
    expect((await fleet(['plan', '--skip-hosts'])).stdout).toContain('reach ssm -> eice')
    await succeed(['apply', '--yes'])
    const changing = aws.calls.slice(before).filter(({ action }) => !action.startsWith('Describe'))
    expect(changing).toEqual([])
    await cli.forgetCalls()
    expect((await fleet(['ssh', 'web-1', '--', 'echo $USER'], alone)).stdout).toBe('fleet\n')
    const id = (await aws.world()).instances[0]?.id ?? ''
    expect(await cli.calls()).toEqual([
      ...[
        [
          'ec2-instance-connect',
          'open-tunnel',
          `--instance-id=${id}`,
          '--remote-port=22',
          '--region=eu-west-1',
        ],
      ],
    ])
    await cli.mode('no-endpoint')
    expect((await fleet(['ssh', 'web-1', '--', 'true'], alone)).stderr).toMatch(
      /exited with code 252: .*no available instance connect endpoints[\s\S]*create-instance-connect-endpoint/,
    )
    await cli.mode('shut')
    expect((await fleet(['ssh', 'web-1', '--', 'true'], alone)).stderr).toMatch(
      /WEBSOCKET_UPGRADE_FAILURE[\s\S]*security groups/,
    )
  })

  test('are adopted by their instance ID', async () => {
    const id = (await aws.world()).instances[0]?.id ?? ''
    const record = await ana.inventory()
    const key = /ssh-ed25519 AAAA[\w+/=]+/.exec(record)?.[0] ?? ''
    const bob = await makeTestUser({ identity: await keyOf() })
    try {
      const env = { ...aws.environment, PATH: path() }
      const args = ['adopt', id, '--name', 'web-9', '--driver', 'aws', '--private-only']
      const adopted = await bob.fleet([...args, '--reach', 'ssm', '--accept-new'], { env })
      expect([adopted.code, adopted.stderr]).toEqual([0, expect.any(String)])
      expect(await bob.inventory()).toContain(key)
      expect(await bob.inventory()).toMatch(/reach: ssm,[\s\S]*host:[\s\S]*reach: ssm/)
      const used = await bob.fleet(['ssh', 'web-9', '--', 'echo $USER'], { env })
      expect(used.stdout).toBe('fleet\n')
    } finally {
      await bob[Symbol.asyncDispose]()
    }
  })

  test('are removed', async () => {
    await succeed(['rm', '-y', 'web-1'])
    expect((await aws.world()).instances).toEqual([])
    expect((await aws.world()).groups).toEqual([])
  })

  /** Resolves to the path of the login key that fleet created for the host. */
  async function keyOf(): Promise<string> {
    const folder = join(ana.home, 'fleet/keys')
    const name = (await readdir(folder)).find((one) => !one.endsWith('.json'))
    return join(folder, name ?? '')
  }
})
