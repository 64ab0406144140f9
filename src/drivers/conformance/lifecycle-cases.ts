import assert from 'node:assert/strict'
import type { DriverDefinition } from '../driver.ts'
import type { ContractCase, LifecycleUnderTest } from './driver-under-test.ts'
import { callOf, findOnly, withHarness, type Harness } from './harness.ts'

/** Whether all values are non-empty strings, or `undefined`, which removes a value that an earlier attempt recorded. */
const areNonEmptyStrings = (record: Readonly<Record<string, unknown>>): boolean =>
  Object.values(record).every(
    (value) => value === undefined || (typeof value === 'string' && value !== ''),
  )

/** Returns cases for creating, listing and deleting hosts without faults. */
export function lifecycleCases(
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
): ContractCase[] {
  const harnessCase = (name: string, work: (trial: Harness) => Promise<void>): ContractCase => ({
    name,
    run: () => withHarness(definition, subject, work),
  })
  return [
    harnessCase(
      'plan creates nothing and describes its decisions',
      async ({ begin, listResources }) => {
        const before = await listResources()
        const plan = await begin('conformance-plan').plan()
        assert.deepEqual(await listResources(), before, 'plan created resources')
        assert.equal(plan.exists, false)
        assert.notEqual(plan.user, '')
        assert.ok(plan.userData.maxBytes > 0)
        assert.ok(areNonEmptyStrings(plan.resources), 'resources must be non-empty strings')
        for (const note of plan.notes) assert.equal(typeof note, 'string')
      },
    ),

    harnessCase('make creates a host and reports its steps', async ({ begin, listResources }) => {
      const before = await listResources()
      const steps: string[] = []
      const creation = begin('conformance-make')
      const { user } = await creation.plan()
      const facts = await creation.make({ progress: (step) => steps.push(step) })
      assert.ok(facts.id, 'the host has no ID')
      assert.ok(facts.address, 'the host has no address')
      assert.equal(facts.user, user, 'make and plan returned different users')
      assert.ok(steps.length > 0, 'no progress was reported')
      assert.ok(
        areNonEmptyStrings(creation.record().resources ?? {}),
        'resources must be non-empty strings',
      )
      assert.ok((await listResources()).length > before.length, 'nothing was created')
    }),

    harnessCase('records the ID and the resources before make resolves', async ({ begin }) => {
      const creation = begin('conformance-record')
      let recorded: string | undefined
      const facts = await creation.make({
        afterRecord: () => {
          recorded = creation.record().id
        },
      })
      assert.equal(recorded, facts.id, 'the ID was not recorded')
    }),

    harnessCase('tags everything that it creates', async ({ begin }) => {
      const before = new Set((await subject.listResources()).map(({ id }) => id))
      const creation = begin('conformance-tags')
      await creation.make()
      const made = (await subject.listResources()).filter(({ id }) => !before.has(id))
      for (const { id, tags } of made) {
        assert.equal(tags['fleet:id'], creation.fleet, `${id} does not have the tag fleet:id`)
      }
      const hasAllTags = made.some(({ tags }) =>
        Object.entries(creation.tags).every(([key, value]) => tags[key] === value),
      )
      assert.ok(hasAllTags, "no resource has all of the host's tags")
    }),

    harnessCase(
      'returns the same host for the same token, even after the record is lost',
      async ({ begin, listResources }) => {
        const creation = begin('conformance-token')
        const { id } = await creation.make()
        const made = await listResources()
        assert.equal((await creation.plan()).exists, true, 'plan did not find the existing host')
        assert.equal((await creation.make()).id, id)
        creation.forget()
        assert.equal(
          (await creation.make()).id,
          id,
          'make() created a second host after the record of the first one was lost',
        )
        assert.deepEqual(await listResources(), made)
      },
    ),

    harnessCase(
      'returns an existing host without requiring bootstrap data',
      async ({ begin, listResources }) => {
        const creation = begin('conformance-seed')
        const { id } = await creation.make()
        const made = await listResources()
        assert.equal((await creation.make({ lacksBootstrapData: true })).id, id)
        assert.deepEqual(await listResources(), made)
      },
    ),

    harnessCase('creates a separate host for each token', async ({ begin }) => {
      const one = begin('conformance-one')
      const two = begin('conformance-one', one.fleet)
      const facts = await Promise.all([one.make(), two.make()])
      assert.notEqual(facts[0].id, facts[1].id)
      assert.equal((await one.list()).length, 2)
    }),

    harnessCase("list does not return another fleet's hosts", async ({ begin }) => {
      const mine = begin('conformance-mine')
      const theirs = begin('conformance-theirs')
      assert.deepEqual(await mine.list(), [])
      await mine.make()
      await theirs.make()
      const found = await findOnly(mine)
      assert.equal(found.token, mine.record().token)
      assert.equal(found.machine, mine.name)
      assert.ok(found.parts.length > 0, '"parts" is empty')
    }),

    harnessCase(
      'remove accepts the record that list returns',
      async ({ begin, listResources, lifecycle }) => {
        const before = await listResources()
        const creation = begin('conformance-found')
        await creation.make()
        await lifecycle.remove((await findOnly(creation)).record, callOf())
        assert.deepEqual(await listResources(), before)
      },
    ),

    harnessCase(
      "remove deletes all of a host's resources and nothing else",
      async ({ begin, listResources }) => {
        const before = await listResources()
        const going = begin('conformance-going')
        const staying = begin('conformance-staying', going.fleet)
        await staying.make()
        const withOne = await listResources()
        await going.make()
        await going.remove()
        assert.deepEqual(await listResources(), withOne)
        assert.equal((await findOnly(staying)).token, staying.record().token)
        await staying.remove()
        assert.deepEqual(
          await listResources(),
          before,
          'resources were left behind after the last host was removed',
        )
      },
    ),

    harnessCase('remove resolves if the host was deleted or never existed', async ({ begin }) => {
      const creation = begin('conformance-gone')
      await creation.remove()
      await creation.make()
      await creation.remove()
      await creation.remove()
      assert.deepEqual(await creation.list(), [])
    }),

    harnessCase(
      'observe distinguishes existing hosts from deleted ones',
      async ({ begin, driver }) => {
        const there = begin('conformance-there')
        const gone = begin('conformance-gone', there.fleet)
        await Promise.all([there.make(), gone.make()])
        await gone.remove()
        const hosts = new Map([there, gone].map((creation) => [creation.name, creation.record()]))
        const statuses = await driver.observe(hosts, callOf())
        assert.deepEqual([...statuses.keys()].sort(), [gone.name, there.name].sort())
        assert.equal(statuses.get(gone.name)?.state, 'absent')
        assert.match(statuses.get(there.name)?.state ?? '', /^(?:running|starting)$/)
      },
    ),
  ]
}
