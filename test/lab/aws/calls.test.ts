import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { awsDriver } from '../../../src/drivers/aws/driver.ts'
import { AwsTrial, countWorld, quietCall, startCheckIp } from '../../support/aws/trial.ts'
import { type Aws, startAws } from '../../support/aws/aws.ts'
import { callEc2 } from '../../support/aws/http/ec2-client.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const hosts = 50

/** Returns the number of calls of each action, most frequent first. */
const countCalls = (aws: Aws, from: number): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const { action } of aws.calls.slice(from)) counts.set(action, (counts.get(action) ?? 0) + 1)
  return new Map([...counts].toSorted((a, b) => b[1] - a[1]))
}

const total = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0)

const entryOf = ({ name, record }: AwsTrial): string =>
  `  ${name}: ${JSON.stringify({
    driver: 'aws',
    options: { region: 'eu-west-1' },
    host: { ...record, created: new Date().toISOString() },
  })}\n`

describe.skipIf(!labIsHere)(`EC2 calls for ${hosts} hosts`, () => {
  let aws: Aws
  let ana: TestUser
  let checkIp: Awaited<ReturnType<typeof startCheckIp>>
  beforeAll(async () => {
    checkIp = await startCheckIp()
    aws = await startAws({ lags: { hidden: 0 } })
    Object.assign(process.env, aws.environment)
    ana = await makeTestUser()
  })
  afterEach(() => aws.reset())
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await aws[Symbol.asyncDispose]()
    await checkIp[Symbol.asyncDispose]()
  })

  const make = async (count: number): Promise<readonly AwsTrial[]> => {
    const driver = awsDriver({ FLEET_CHECKIP_URL: checkIp.url })
    const trials = Array.from(
      { length: count },
      (_, index) => new AwsTrial(checkIp.url, {}, { name: `web-${index}`, driver }),
    )
    await Promise.all(trials.map((trial) => trial.make()))
    return trials
  }

  const protect = (trial: AwsTrial | undefined, value: 'true' | 'false') =>
    callEc2(aws, 'ModifyInstanceAttribute', {
      InstanceId: trial?.record.id ?? '',
      'DisableApiTermination.Value': value,
    })

  /** The action used for polling; how often it is called depends on how busy this computer is. */
  const looks = 'DescribeInstances'

  test('are few for create, plan and rm', async () => {
    const trials = await make(hosts)
    const created = countCalls(aws, 0)
    const lines = trials.map(entryOf).join('')
    const text = `version: 1\nid: 4f0c2f6e\nmachines:\n${lines}`
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    const run = async (...words: string[]) => {
      const before = aws.calls.length
      const done = await ana.fleet(words, { env: aws.environment })
      return { done, counts: countCalls(aws, before) }
    }
    const plan = await run('plan', '--skip-hosts')
    const names = trials.map(({ name }) => name)
    const rm = await run('rm', '-y', ...names)
    expect(rm.done).toMatchObject({ code: 0 })
    expect(await countWorld(aws)).toMatchObject({ instances: 0, groups: 0, keyPairs: 0 })

    const all = { create: created, plan: plan.counts, rm: rm.counts }
    for (const [command, counts] of Object.entries(all)) {
      const each = [...counts].map(([action, count]) => `${action} ${count}`)
      console.log(`${command} of ${hosts} hosts: ${total(counts)} calls: ${each.join(', ')}`)
    }
    const { RunInstances, ...others } = Object.fromEntries(created)
    expect(RunInstances).toBe(hosts + 1) // one of them is a dry run
    expect(total(created) - (created.get(looks) ?? 0)).toBeLessThanOrEqual(4 * hosts + 10)
    expect(created.get(looks)).toBeLessThanOrEqual(2 * hosts)
    for (const [action, count] of Object.entries(others)) {
      expect([action, count <= hosts || action === looks]).toEqual([action, true])
    }
    // One call describes the hosts, and one call for each kind of resource looks for resources without an entry.
    expect(total(plan.counts)).toBeLessThanOrEqual(5)
    expect(rm.counts.get('TerminateInstances')).toBeLessThanOrEqual(10)
    expect(rm.counts.get('DeleteKeyPair')).toBe(hosts)
    expect(total(rm.counts)).toBeLessThanOrEqual(4 * hosts)
  })

  test('remove several hosts together, although one of them is protected', async () => {
    const trials = await make(5)
    const [kept] = trials
    await protect(kept, 'true')
    const outcomes = await Promise.allSettled(trials.map((trial) => trial.remove(quietCall())))
    expect(outcomes.map(({ status }) => status)).toEqual([
      'rejected',
      ...Array.from({ length: 4 }, () => 'fulfilled'),
    ])
    expect(await countWorld(aws)).toMatchObject({ instances: 1, groups: 1, keyPairs: 1 })
    await protect(kept, 'false')
    await kept?.remove()
    expect(await countWorld(aws)).toMatchObject({ instances: 0, groups: 0, keyPairs: 0 })
  })
})
