import assert from 'node:assert/strict'
import type { DriverDefinition, Power } from '../driver.ts'
import type { ContractCase, LifecycleUnderTest } from './driver-under-test.ts'
import { callOf, withHarness } from './harness.ts'

/**
 * Power operations in order, and the expected state after each. Operations are repeated, and start
 * from both states.
 */
const switches: readonly (readonly [keyof Power, RegExp])[] = [
  ['start', /^(?:running|starting)$/],
  ['stop', /^stopped$/],
  ['stop', /^stopped$/],
  ['start', /^(?:running|starting)$/],
  ['restart', /^(?:running|starting)$/],
  ['kill', /^stopped$/],
  ['kill', /^stopped$/],
  ['start', /^(?:running|starting)$/],
]

/** Returns cases for `power`. They pass if the driver does not support it. */
export const powerCases = (
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
): ContractCase[] => [
  {
    name: "changes a host's power state, and succeeds if the host is already in that state",
    run: () =>
      withHarness(definition, subject, async ({ begin, driver, listResources }) => {
        const { power } = driver
        if (power === undefined) return
        const creation = begin('conformance-power')
        await creation.make()
        const made = await listResources()
        for (const [verb, expected] of switches) {
          await power[verb](creation.record(), callOf())
          const hosts = new Map([[creation.name, creation.record()]])
          const status = (await driver.observe(hosts, callOf())).get(creation.name)
          assert.match(status?.state ?? '', expected, `after ${verb}`)
        }
        assert.deepEqual(await listResources(), made)
      }),
  },
]
