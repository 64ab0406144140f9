import assert from 'node:assert/strict'
import type { DriverDefinition } from '../driver.ts'
import type { ContractCase, LifecycleSubject } from './driver-under-test.ts'
import { callOf, findOnly, withTrial, type Harness } from './harness.ts'

const areTexts = (record: Readonly<Record<string, unknown>>): boolean =>
  Object.values(record).every((value) => typeof value === 'string' && value !== '')

/** Cases for creating, listing and deleting hosts without faults. */
export function lifecycleCases(
  definition: DriverDefinition,
  subject: LifecycleSubject,
): ContractCase[] {
  const trialCase = (name: string, work: (trial: Harness) => Promise<void>): ContractCase => ({
    name,
    run: () => withTrial(definition, subject, work),
  })
  return [
    trialCase('plan makes nothing, and says what was decided', async ({ begin, look }) => {
      const before = await look()
      const plan = await begin('conformance-plan').plan()
      assert.deepEqual(await look(), before, 'plan made something')
      assert.equal(plan.exists, false)
      assert.notEqual(plan.user, '')
      assert.ok(plan.userData.maxBytes > 0)
      assert.ok(areTexts(plan.resources), 'resources are texts')
      for (const note of plan.notes) assert.equal(typeof note, 'string')
    }),

    trialCase('make makes a host, and tells the steps', async ({ begin, look }) => {
      const before = await look()
      const steps: string[] = []
      const creation = begin('conformance-make')
      const { user } = await creation.plan()
      const facts = await creation.make({ progress: (step) => steps.push(step) })
      assert.ok(facts.id, 'the host has no id')
      assert.ok(facts.address, 'the host has no address')
      assert.equal(facts.user, user, 'make and plan differ on the user')
      assert.ok(steps.length > 0, 'no progress was told')
      assert.ok(areTexts(creation.record().resources ?? {}), 'resources are texts')
      assert.ok((await look()).length > before.length, 'nothing was made')
    }),

    trialCase('records the id and what was made before make resolves', async ({ begin }) => {
      const creation = begin('conformance-record')
      let recorded: string | undefined
      const facts = await creation.make({
        afterRecord: () => {
          recorded = creation.record().id
        },
      })
      assert.equal(recorded, facts.id, 'the id was not recorded')
    }),

    trialCase('tags all that it makes', async ({ begin }) => {
      const before = new Set((await subject.look()).map(({ id }) => id))
      const creation = begin('conformance-tags')
      await creation.make()
      const made = (await subject.look()).filter(({ id }) => !before.has(id))
      for (const { id, tags } of made) {
        assert.equal(tags['fleet:id'], creation.fleet, `${id} does not say whose it is`)
      }
      const isWhole = made.some(({ tags }) =>
        Object.entries(creation.tags).every(([key, value]) => tags[key] === value),
      )
      assert.ok(isWhole, 'nothing has all the tags')
    }),

    trialCase('the same token is the same host, whatever was recorded', async ({ begin, look }) => {
      const creation = begin('conformance-token')
      const { id } = await creation.make()
      const made = await look()
      assert.equal((await creation.plan()).exists, true, 'plan does not see that the host exists')
      assert.equal((await creation.make()).id, id)
      creation.forget()
      assert.equal((await creation.make()).id, id, 'a lost record makes another host')
      assert.deepEqual(await look(), made)
    }),

    trialCase('a host that exists needs no seed', async ({ begin, look }) => {
      const creation = begin('conformance-seed')
      const { id } = await creation.make()
      const made = await look()
      assert.equal((await creation.make({ lacksSeed: true })).id, id)
      assert.deepEqual(await look(), made)
    }),

    trialCase('another token is another host', async ({ begin }) => {
      const one = begin('conformance-one')
      const two = begin('conformance-one', one.fleet)
      const facts = await Promise.all([one.make(), two.make()])
      assert.notEqual(facts[0].id, facts[1].id)
      assert.equal((await one.list()).length, 2)
    }),

    trialCase('list finds what exists of one fleet, and nothing of another', async ({ begin }) => {
      const mine = begin('conformance-mine')
      const theirs = begin('conformance-theirs')
      assert.deepEqual(await mine.list(), [])
      await mine.make()
      await theirs.make()
      const found = await findOnly(mine)
      assert.equal(found.token, mine.record().token)
      assert.equal(found.machine, mine.name)
      assert.ok(found.parts.length > 0, 'it does not say what there is')
    }),

    trialCase('what list finds is enough to remove it', async ({ begin, look, lifecycle }) => {
      const before = await look()
      const creation = begin('conformance-found')
      await creation.make()
      await lifecycle.remove((await findOnly(creation)).record, callOf())
      assert.deepEqual(await look(), before)
    }),

    trialCase('remove removes all of a host and only that', async ({ begin, look }) => {
      const before = await look()
      const going = begin('conformance-going')
      const staying = begin('conformance-staying', going.fleet)
      await staying.make()
      const withOne = await look()
      await going.make()
      await going.remove()
      assert.deepEqual(await look(), withOne)
      assert.equal((await findOnly(staying)).token, staying.record().token)
      await staying.remove()
      assert.deepEqual(await look(), before, 'the last host of a fleet leaves something behind')
    }),

    trialCase('remove resolves for what is gone, or never was', async ({ begin }) => {
      const creation = begin('conformance-gone')
      await creation.remove()
      await creation.make()
      await creation.remove()
      await creation.remove()
      assert.deepEqual(await creation.list(), [])
    }),

    trialCase('observe tells hosts that are there from those gone', async ({ begin, driver }) => {
      const there = begin('conformance-there')
      const gone = begin('conformance-gone', there.fleet)
      await Promise.all([there.make(), gone.make()])
      await gone.remove()
      const hosts = new Map([there, gone].map((creation) => [creation.name, creation.record()]))
      const statuses = await driver.observe(hosts, callOf())
      assert.deepEqual([...statuses.keys()].sort(), [gone.name, there.name].sort())
      assert.equal(statuses.get(gone.name)?.state, 'absent')
      assert.match(statuses.get(there.name)?.state ?? '', /^(?:running|starting)$/)
    }),
  ]
}
