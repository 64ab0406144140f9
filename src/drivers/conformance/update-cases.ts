import assert from 'node:assert/strict'
import type { HostRecord } from '../../machine/machine.ts'
import type { DriverDefinition } from '../driver.ts'
import { checkOptions } from '../options/option-flags.ts'
import type { ContractCase, LifecycleUnderTest } from './driver-under-test.ts'
import { callOf, withHarness } from './harness.ts'

/** Returns cases for `update`. They pass if the driver does not support it. */
export const updateCases = (
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
): ContractCase[] => [
  {
    name: 'finds no differences on a new host, then finds and applies changed options',
    run: () =>
      withHarness(definition, subject, async ({ begin, driver, listResources }) => {
        const { update, power } = driver
        if (update === undefined) return
        const { changes = {} } = subject
        const names = Object.keys(changes)
        assert.notEqual(names.length, 0, '"changes" is empty')
        const before = await listResources()
        const creation = begin('conformance-update')
        await creation.make()
        const made = await listResources()
        let host: HostRecord = creation.record()
        const status = async () => {
          const all = await driver.observe(new Map([[creation.name, host]]), callOf())
          return all.get(creation.name) ?? { state: 'absent' as const }
        }
        const compare = async (options: Readonly<Record<string, unknown>>) => {
          const checked = checkOptions(definition, options)
          return update.compare(host, checked, await status(), callOf())
        }
        assert.deepEqual(await compare(subject.options), [], 'a new host has differences')

        const wanted = { ...subject.options, ...changes }
        const found = await compare(wanted)
        assert.deepEqual(found.map(({ option }) => option).sort(), names.sort())
        assert.ok(
          found.every(({ how }) => how !== 'replace'),
          '"changes" contains an option that requires a new host',
        )
        if (found.some(({ how }) => how === 'stop')) await power?.stop(host, callOf())
        const request = { options: checkOptions(definition, wanted), only: new Set(names) }
        // Apply the change twice, as fleet does after an interruption that kept it from recording the result.
        await update.change(host, request, callOf())
        const changed = await update.change(host, request, callOf())
        const resources = Object.entries({ ...host.resources, ...changed }).flatMap(
          ([key, value]) => (value === undefined ? [] : [[key, value] as const]),
        )
        host = { ...host, resources: Object.fromEntries(resources) }
        assert.deepEqual(await compare(wanted), [], 'the changed options still differ')
        assert.deepEqual(await listResources(), made, 'resources were created or deleted')
        await driver.lifecycle?.remove(host, callOf())
        assert.deepEqual(await listResources(), before, 'resources were left behind')
      }),
  },
]
