import assert from 'node:assert/strict'
import type { DriverDefinition } from '../driver.ts'
import type { ContractCase, LifecycleUnderTest } from './driver-under-test.ts'
import { callOf, withHarness } from './harness.ts'

const isUsage = (error: unknown): boolean =>
  error instanceof Error && 'kind' in error && error.kind === 'usage'

/** Returns cases for `snapshots`. They pass if the driver does not support it. */
export const snapshotCases = (
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
): ContractCase[] => [
  {
    name: 'saves and restores both running and stopped hosts',
    run: () =>
      withHarness(definition, subject, async ({ begin, driver, listResources }) => {
        const { snapshots, power } = driver
        if (snapshots === undefined) return
        const before = await listResources()
        const creation = begin('conformance-snapshot')
        await creation.make()
        const host = creation.record()
        const state = async (): Promise<string | undefined> => {
          const hosts = new Map([[creation.name, host]])
          return (await driver.observe(hosts, callOf())).get(creation.name)?.state
        }
        const names = async (): Promise<string[]> =>
          (await snapshots.list(host, callOf())).map(({ name }) => name)
        assert.deepEqual(await names(), [])
        await snapshots.save(host, 'warm', callOf())
        await assert.rejects(
          snapshots.save(host, 'warm', callOf()),
          isUsage,
          'two snapshots have the same name',
        )
        await power?.kill(host, callOf())
        await snapshots.save(host, 'cold', callOf())
        const listed = await snapshots.list(host, callOf())
        const kept = listed.map(({ name, isRunning }) => [name, isRunning])
        const expected = [
          ['warm', true],
          ['cold', false],
        ]
        assert.deepEqual(kept, power === undefined ? kept : expected)
        for (let times = 0; times < 2; times++) {
          await snapshots.restore(host, 'warm', callOf())
          assert.match(
            (await state()) ?? '',
            /^(?:running|starting)$/,
            'the host is not running after the restore',
          )
        }
        if (power !== undefined) {
          await snapshots.restore(host, 'cold', callOf())
          assert.equal(await state(), 'stopped', 'the host is not stopped after the restore')
        }
        await assert.rejects(snapshots.restore(host, 'other', callOf()), isUsage)
        await assert.rejects(snapshots.remove(host, 'other', callOf()), isUsage)
        await snapshots.remove(host, 'warm', callOf())
        assert.deepEqual(await names(), ['cold'])
        await creation.remove()
        assert.deepEqual(await listResources(), before, 'resources were left behind')
      }),
  },
]
