import assert from 'node:assert/strict'
import type { DriverDefinition, Power } from '../driver.ts'
import type { ContractCase, LifecycleSubject } from './driver-under-test.ts'
import { callOf, withTrial } from './harness.ts'

/** Operations, and the state after each of them: repeated, and from both states. */
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

/** Cases for `power`. They pass if the driver does not support it. */
export const powerCases = (
  definition: DriverDefinition,
  subject: LifecycleSubject,
): ContractCase[] => [
  {
    name: 'switches a host, and leaves one alone that is in that state',
    run: () =>
      withTrial(definition, subject, async ({ begin, driver, look }) => {
        const { power } = driver
        if (power === undefined) return
        const creation = begin('conformance-power')
        await creation.make()
        const made = await look()
        for (const [verb, expected] of switches) {
          await power[verb](creation.record(), callOf())
          const hosts = new Map([[creation.name, creation.record()]])
          const status = (await driver.observe(hosts, callOf())).get(creation.name)
          assert.match(status?.state ?? '', expected, `after ${verb}`)
        }
        assert.deepEqual(await look(), made)
      }),
  },
]
