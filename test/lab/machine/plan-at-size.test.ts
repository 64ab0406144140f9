import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openFleet } from '../../../src/app/fleet.ts'
import { makePlan } from '../../../src/operations/plan/make-plan.ts'
import { type ManyInstances, serveManyInstances } from '../../support/aws/ec2/many-instances.ts'
import { pipeIo } from '../../support/fake-io.ts'
import { timeProcessor } from '../../support/process/processor-time.ts'

let ec2: ManyInstances
let folder: string
beforeAll(async () => {
  ec2 = await serveManyInstances(1000)
  Object.assign(process.env, ec2.environment)
  folder = await mkdtemp(join(tmpdir(), 'fleet-size-'))
  await writeFile(join(folder, 'machines.yaml'), ec2.inventory)
})
afterAll(async () => {
  await ec2[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** Reads the inventory and plans, as a command does. Resolves to the plan and the processor time in milliseconds. */
async function plan() {
  const { io } = pipeIo({ env: { ...process.env, FLEET_HOME: join(folder, 'home') } })
  await using fleet = openFleet(io, join(folder, 'machines.yaml'))
  return await timeProcessor(() =>
    makePlan(fleet, { skipHosts: true, timeoutMs: 60_000, progress: () => {} }),
  )
}

test('a plan of a thousand machines in three regions takes one EC2 call each, in less than a second', async () => {
  await plan() // loads the code for EC2
  ec2.asked.length = 0
  const { value: made, took } = await plan()
  expect(made).toMatchObject({ changes: [], drift: [], issues: [] })
  const questions = ec2.asked.filter(({ action }) => action === 'DescribeInstances')
  const observed = questions.filter(({ filters }) => !filters.includes('tag:fleet:id'))
  expect(observed.map(({ region }) => region).sort()).toEqual([
    ...['ap-south-1', 'eu-west-1', 'us-east-1'],
  ])
  // There is also one call per region that looks for resources without an entry.
  expect(questions).toHaveLength(6)
  expect(took).toBeLessThan(1000)
})
