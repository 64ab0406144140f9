import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import { checkOptions } from '../options/option-flags.ts'
import type { DriverDefinition } from '../driver.ts'
import { type ContractCase, type LifecycleUnderTest, driverFolder } from './driver-under-test.ts'
import { type Creation, type Harness, callOf, withHarness } from './harness.ts'

/** A directory next to the driver's directory. Hostile records refer to it. */
const bystander = join(dirname(driverFolder), 'fleet-driver-bystander')
const bystanderFile = join(bystander, 'important')

/** Relative paths to that directory, from different depths below the driver's directory. */
const relativePaths = [1, 2, 3, 4, 5].map((depth) => `${'../'.repeat(depth)}fleet-driver-bystander`)

/** Records that fleet never writes. */
const invalidRecords: readonly Partial<HostRecord>[] = [
  ...[...relativePaths, bystander, '.', '', '-rf', 'a b', `${randomUUID()}/..`].map((token) => ({
    token,
  })),
  ...[...relativePaths, '--help', '-h', '..', 'a\nb', 'x;y', '$(id)'].map((id) => ({ id })),
  ...['a\nb', '\u001B[2J', 'x'.repeat(5000)].map((note) => ({ resources: { note } })),
  { resources: { '../note': 'x' } },
]

/**
 * Calls every method that takes a record. Returns the names of the methods that reject with a `UserError`; any other
 * error fails the case.
 */
async function callAllMethods(
  { driver, lifecycle }: Harness,
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
  { name, tags }: Creation,
  record: HostRecord,
): Promise<readonly string[]> {
  const { power, snapshots, update } = driver
  const { token = '', id, resources = {} } = record
  const options = checkOptions(definition, subject.options)
  const changed = checkOptions(definition, { ...subject.options, ...subject.changes })
  const only = new Set(Object.keys(subject.changes ?? {}))
  const methods: Readonly<Record<string, () => Promise<unknown>>> = {
    'power.restart': async () => power?.restart(record, callOf()),
    'power.kill': async () => power?.kill(record, callOf()),
    'snapshots.list': async () => snapshots?.list(record, callOf()),
    'snapshots.save': async () => snapshots?.save(record, 'conformance', callOf()),
    'update.change': async () => update?.change(record, { options: changed, only }, callOf()),
    'lifecycle.plan': () =>
      lifecycle.plan(
        { name, token, tags: { ...tags, 'fleet:token': token }, resources, id },
        options,
        callOf(),
      ),
    'lifecycle.remove': () => lifecycle.remove(record, callOf()),
  }
  const refused: string[] = []
  for (const [what, work] of Object.entries(methods)) {
    await work().catch((error: unknown) => {
      assert.ok(
        error instanceof UserError,
        `${what} rejected with an error that is not a UserError: ${String(error)}`,
      )
      refused.push(what)
    })
  }
  return refused
}

/** Returns cases for records that another user has manipulated, because inventories are shared. */
export function hostileRecordCases(
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
): ContractCase[] {
  /** Creates a host, runs `work`, and checks that the host has not changed. */
  const withVictim = (work: (harness: Harness, victim: Creation) => Promise<void>) => () =>
    withHarness(definition, subject, async (harness) => {
      await mkdir(bystander, { recursive: true })
      await writeFile(bystanderFile, 'important')
      try {
        const victim = harness.begin('conformance-victim')
        await victim.make()
        const before = await subject.listResources()
        await work(harness, victim)
        assert.deepEqual(
          await subject.listResources(),
          before,
          "other hosts' resources were changed",
        )
        assert.equal(await readFile(bystanderFile, 'utf8'), 'important')
        const hosts = new Map([[victim.name, victim.record()]])
        const status = (await harness.driver.observe(hosts, callOf())).get(victim.name)
        assert.match(
          status?.state ?? '',
          /^(?:running|starting)$/,
          "another host's power state was changed",
        )
      } finally {
        await rm(bystander, { recursive: true, force: true })
      }
    })
  return [
    {
      name: 'rejects records that fleet cannot have written',
      run: withVictim(async (harness, victim) => {
        for (const fields of invalidRecords) {
          const record = { ...victim.record(), ...fields }
          const refused = await callAllMethods(harness, definition, subject, victim, record)
          for (const what of ['lifecycle.plan', 'lifecycle.remove']) {
            assert.ok(
              refused.includes(what),
              `${what} accepted the invalid record ${JSON.stringify(fields)}`,
            )
          }
        }
      }),
    },
    {
      name: 'does not change recorded resources that were not created for the host',
      run: withVictim(async (harness, victim) => {
        const record = { ...victim.record(), token: randomUUID() }
        await callAllMethods(harness, definition, subject, victim, record)
      }),
    },
  ]
}
