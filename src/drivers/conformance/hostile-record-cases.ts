import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import { checkOptions } from '../options/option-flags.ts'
import type { DriverDefinition } from '../driver.ts'
import { type ContractCase, type LifecycleSubject, driverFolder } from './driver-under-test.ts'
import { type Creation, type Harness, callOf, withTrial } from './harness.ts'

/** A folder next to the driver's own, which records will name. */
const bystander = join(dirname(driverFolder), 'fleet-driver-bystander')
const bystanderFile = join(bystander, 'important')

/** The same folder, relative to different depths of the driver's folder. */
const climbing = [1, 2, 3, 4, 5].map((depth) => `${'../'.repeat(depth)}fleet-driver-bystander`)

/** Records that fleet never writes. */
const impossible: readonly Partial<HostRecord>[] = [
  ...[...climbing, bystander, '.', '', '-rf', 'a b', `${randomUUID()}/..`].map((token) => ({
    token,
  })),
  ...[...climbing, '--help', '-h', '..', 'a\nb', 'x;y', '$(id)'].map((id) => ({ id })),
  ...['a\nb', '\u001B[2J', 'x'.repeat(5000)].map((note) => ({ resources: { note } })),
  { resources: { '../note': 'x' } },
]

/**
 * Calls every method that gets a record. Returns the names of those that reject with a `UserError`;
 * other errors fail.
 */
async function tryAll(
  { driver, lifecycle }: Harness,
  definition: DriverDefinition,
  subject: LifecycleSubject,
  { name, tags }: Creation,
  record: HostRecord,
): Promise<readonly string[]> {
  const { power, snapshots, update } = driver
  const { token = '', id, resources = {} } = record
  const options = checkOptions(definition, subject.options)
  const changed = checkOptions(definition, { ...subject.options, ...subject.changes })
  const only = new Set(Object.keys(subject.changes ?? {}))
  const tries: Readonly<Record<string, () => Promise<unknown>>> = {
    'power.restart': async () => power?.restart(record, callOf()),
    'power.kill': async () => power?.kill(record, callOf()),
    'snapshots.list': async () => snapshots?.list(record, callOf()),
    'snapshots.save': async () => snapshots?.save(record, 'conformance', callOf()),
    'reshape.change': async () => update?.change(record, { options: changed, only }, callOf()),
    'lifecycle.plan': () =>
      lifecycle.plan(
        { name, token, tags: { ...tags, 'fleet:token': token }, resources, id },
        options,
        callOf(),
      ),
    'lifecycle.remove': () => lifecycle.remove(record, callOf()),
  }
  const refused: string[] = []
  for (const [what, work] of Object.entries(tries)) {
    await work().catch((error: unknown) => {
      assert.ok(error instanceof UserError, `${what} ends with no UserError: ${String(error)}`)
      refused.push(what)
    })
  }
  return refused
}

/** Cases for records that somebody else wrote: the inventory is shared. */
export function hostileRecordCases(
  definition: DriverDefinition,
  subject: LifecycleSubject,
): ContractCase[] {
  /** Creates a host, runs `work`, and checks that nothing of the host has changed. */
  const unharmed = (work: (trial: Harness, victim: Creation) => Promise<void>) => () =>
    withTrial(definition, subject, async (trial) => {
      await mkdir(bystander, { recursive: true })
      await writeFile(bystanderFile, 'important')
      try {
        const victim = trial.begin('conformance-victim')
        await victim.make()
        const before = await subject.look()
        await work(trial, victim)
        assert.deepEqual(await subject.look(), before, 'something of others was touched')
        assert.equal(await readFile(bystanderFile, 'utf8'), 'important')
        const hosts = new Map([[victim.name, victim.record()]])
        const status = (await trial.driver.observe(hosts, callOf())).get(victim.name)
        assert.match(status?.state ?? '', /^(?:running|starting)$/, 'a host of others was switched')
      } finally {
        await rm(bystander, { recursive: true, force: true })
      }
    })
  return [
    {
      name: 'refuses a record with a token, an id or resources that fleet never writes',
      run: unharmed(async (trial, victim) => {
        for (const claims of impossible) {
          const record = { ...victim.record(), ...claims }
          const refused = await tryAll(trial, definition, subject, victim, record)
          for (const what of ['lifecycle.plan', 'lifecycle.remove']) {
            assert.ok(refused.includes(what), `${what} takes ${JSON.stringify(claims)}`)
          }
        }
      }),
    },
    {
      name: 'touches nothing that a record names and that was not made for it',
      run: unharmed(async (trial, victim) => {
        const record = { ...victim.record(), token: randomUUID() }
        await tryAll(trial, definition, subject, victim, record)
      }),
    },
  ]
}
