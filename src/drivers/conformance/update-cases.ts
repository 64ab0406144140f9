import assert from 'node:assert/strict'
import type { HostRecord } from '../../machine/machine.ts'
import type { DriverDefinition } from '../driver.ts'
import { checkOptions } from '../options/option-flags.ts'
import type { ContractCase, LifecycleSubject } from './driver-under-test.ts'
import { callOf, withTrial } from './harness.ts'

/** Cases for `update`. They pass if the driver does not support it. */
export const reshapeCases = (
  definition: DriverDefinition,
  subject: LifecycleSubject,
): ContractCase[] => [
  {
    name: 'finds no difference at a host that was just made, and brings about what is changed then',
    run: () =>
      withTrial(definition, subject, async ({ begin, driver, look }) => {
        const { update, power } = driver
        if (update === undefined) return
        const { changes = {} } = subject
        const names = Object.keys(changes)
        assert.notEqual(names.length, 0, 'the subject names no `changes` to make')
        const before = await look()
        const creation = begin('conformance-reshape')
        await creation.make()
        const made = await look()
        let host: HostRecord = creation.record()
        const status = async () => {
          const all = await driver.observe(new Map([[creation.name, host]]), callOf())
          return all.get(creation.name) ?? { state: 'absent' as const }
        }
        const compare = async (options: Readonly<Record<string, unknown>>) => {
          const checked = checkOptions(definition, options)
          return update.compare(host, checked, await status(), callOf())
        }
        assert.deepEqual(await compare(subject.options), [], 'nobody changed anything')

        const wanted = { ...subject.options, ...changes }
        const found = await compare(wanted)
        assert.deepEqual(found.map(({ option }) => option).sort(), names.sort())
        assert.ok(
          found.every(({ how }) => how !== 'replace'),
          'the subject names changes that take another host',
        )
        if (found.some(({ how }) => how === 'stop')) await power?.stop(host, callOf())
        const wish = { options: checkOptions(definition, wanted), only: new Set(names) }
        // Repeated, as after an interruption before the result was recorded.
        await update.change(host, wish, callOf())
        const remembered = await update.change(host, wish, callOf())
        const resources = Object.entries({ ...host.resources, ...remembered }).flatMap(
          ([key, value]) => (value === undefined ? [] : [[key, value] as const]),
        )
        host = { ...host, resources: Object.fromEntries(resources) }
        assert.deepEqual(await compare(wanted), [], 'it was brought about')
        assert.deepEqual(await look(), made, 'it is another host')
        await driver.lifecycle?.remove(host, callOf())
        assert.deepEqual(await look(), before, 'something is left behind')
      }),
  },
]
