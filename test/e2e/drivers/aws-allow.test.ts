import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AwsTrial, startCheckIp } from '../../support/aws/trial.ts'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import { callEc2 } from '../../support/aws/http/ec2-client.ts'
import { checkJsonOutput } from '../../support/json-output.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB'

describe.skipIf(!labIsHere)('fleet allow', () => {
  let aws: Aws
  let ana: TestUser
  let checkIp: Awaited<ReturnType<typeof startCheckIp>>

  beforeAll(async () => {
    checkIp = await startCheckIp()
    aws = await startAws({ lags: { hidden: 0 } })
    Object.assign(process.env, aws.environment)
  })
  beforeEach(async () => {
    await aws.reset()
    checkIp.address = '203.0.113.9'
    ana = await makeTestUser()
  })
  afterEach(() => ana[Symbol.asyncDispose]())
  afterAll(async () => {
    await aws[Symbol.asyncDispose]()
    await checkIp[Symbol.asyncDispose]()
  })

  const fleet = (...words: string[]) =>
    ana.fleet(words, { env: { ...aws.environment, FLEET_CHECKIP_URL: checkIp.url } })

  /** Creates hosts and an inventory that contains them. */
  const make = async (...all: readonly Readonly<Record<string, unknown>>[]) => {
    const trials = all.map(
      (options, index) => new AwsTrial(checkIp.url, options, { name: `web-${index + 1}` }),
    )
    await Promise.all(trials.map((trial) => trial.make()))
    const entries = trials.map(({ name, options, record }) => {
      const host = { ...record, created: '2026-01-01T00:00:00.000Z' }
      return `  ${name}: ${JSON.stringify({ driver: 'aws', options, host })}\n`
    })
    const text = `version: 1\nid: 4f0c2f6e\nmachines:\n${entries.join('')}`
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    return trials
  }

  /** Resolves to the IP ranges that the security group of a host allows for SSH. */
  const openIn = async (trial: AwsTrial | undefined): Promise<readonly string[]> => {
    const id = trial?.record.resources?.['securityGroup'] ?? ''
    const { body } = await callEc2(aws, 'DescribeSecurityGroups', { 'GroupId.1': id })
    return [...body.matchAll(/<cidrIp>([^<]*)<\/cidrIp>/g)]
      .map(([, cidr = '']) => cidr)
      .filter((cidr) => cidr !== '0.0.0.0/0')
      .toSorted()
  }

  const changes = async (): Promise<unknown> =>
    (JSON.parse((await fleet('plan', '--json', '--skip-hosts')).stdout) as { changes: unknown })
      .changes

  test('adds the current address to the previous ones, in the security group and in the entry', async () => {
    const [first, second] = await make({}, { sshCidr: '192.0.2.0/24' })
    checkIp.address = '198.51.100.4'
    const done = await fleet('allow', '--on', 'all')
    expect(done).toMatchObject({ code: 0 })
    expect(done.stdout).toMatch(
      /web-1\t198\.51\.100\.4\/32\t203\.0\.113\.9\/32, 198\.51\.100\.4\/32/,
    )
    expect(await openIn(first)).toEqual(['198.51.100.4/32', '203.0.113.9/32'])
    expect(await openIn(second)).toEqual(['192.0.2.0/24', '198.51.100.4/32'])
    const text = await ana.inventory()
    expect(text).toMatch(/sshCidr": ?"?192\.0\.2\.0\/24,198\.51\.100\.4\/32/)
    expect(text).toMatch(/sshCidr": ?"?203\.0\.113\.9\/32,198\.51\.100\.4\/32/) // from the record of web-1
    expect(await changes()).toEqual([])

    const before = aws.calls.length
    const again = await fleet('allow', 'web-1', 'web-2', '--json')
    expect(again).toMatchObject({ code: 0 })
    checkJsonOutput('allow', again.stdout)
    expect(aws.calls).toHaveLength(before) // it is already allowed
  })

  test('can be repeated after a failure', async () => {
    const [first] = await make({ sshCidr: '192.0.2.0/24' })
    aws.change({ denied: ['AuthorizeSecurityGroupIngress'] })
    const refused = await fleet('allow', 'web-1')
    expect(refused.code).toBe(6)
    expect(refused.stderr).toMatch(/web-1: AWS does not allow/)
    aws.change({ denied: [] })
    expect(await fleet('allow', 'web-1')).toMatchObject({ code: 0 })
    expect(await openIn(first)).toEqual(['192.0.2.0/24', '203.0.113.9/32'])
    expect(await changes()).toEqual([])
  })

  test('reports what it cannot do', async () => {
    await make({ privateOnly: true, sshCidr: '10.0.0.0/8' })
    const closed = await fleet('allow', 'web-1')
    expect(closed.code).toBe(2)
    expect(closed.stderr).toMatch(/fleet either does not manage web-1's firewall or .* private/)
    expect(await fleet('allow')).toMatchObject({ code: 2 })
    const host = `{ phase: ready, address: 127.0.0.9, user: ana, hostKeys: [${hostKey}], created: 2026-01-01T00:00:00.000Z }`
    const text = `version: 1\nid: 4f0c2f6e\nmachines:\n  web-1: { driver: ssh, options: { address: 127.0.0.9 }, host: ${host} }\n`
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    const other = await fleet('allow', 'web-1')
    expect(other.code).toBe(8)
    expect(other.stderr).toContain("the ssh driver does not manage web-1's firewall")
  })
})
