import assert from 'node:assert/strict'
import { UserError } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import { checkOptions, checkGivenOptions } from '../options/option-flags.ts'
import type { DriverDefinition } from '../driver.ts'
import type { ContractCase, LifecycleUnderTest } from './driver-under-test.ts'
import { callOf, withHarness } from './harness.ts'

/** Returns cases for `describeExisting`. They pass if the driver does not support it. */
export function describeExistingCases(
  definition: DriverDefinition,
  subject: LifecycleUnderTest,
): ContractCase[] {
  const givenOptions = (): Readonly<Record<string, unknown>> =>
    checkGivenOptions(definition, subject.options)
  return [
    {
      name: 'describes an existing host, which fleet can inspect and start but does not own',
      run: () =>
        withHarness(definition, subject, async ({ begin, driver, lifecycle, listResources }) => {
          if (driver.describeExisting === undefined) return
          const creation = begin('conformance-existing')
          const made = await creation.make()
          assert.ok(made.id, 'the host has no ID')
          const before = await listResources()
          const { options = {}, ...facts } = await driver.describeExisting(
            made.id,
            givenOptions(),
            callOf(),
          )
          for (const key of ['id', 'address', 'port', 'user'] as const) {
            assert.equal(
              facts[key],
              made[key],
              `describeExisting and make returned different values for ${key}`,
            )
          }
          checkOptions(definition, { ...subject.options, ...options })
          const host: HostRecord = { phase: 'ready', ...facts }
          const stateOf = async (): Promise<string | undefined> => {
            const hosts = new Map([[creation.name, host]])
            return (await driver.observe(hosts, callOf())).get(creation.name)?.state
          }
          assert.match((await stateOf()) ?? '', /^(?:running|starting)$/)
          await driver.power?.stop(host, callOf())
          if (driver.power !== undefined) assert.equal(await stateOf(), 'stopped')
          await driver.power?.start(host, callOf())
          await lifecycle.remove(host, callOf())
          assert.deepEqual(
            await listResources(),
            before,
            'remove must not delete resources of a host without a token',
          )
        }),
    },
    {
      name: 'rejects the ID of a deleted host',
      run: () =>
        withHarness(definition, subject, async ({ begin, driver }) => {
          if (driver.describeExisting === undefined) return
          const creation = begin('conformance-unknown')
          const { id = '' } = await creation.make()
          await creation.remove()
          await assert.rejects(
            driver.describeExisting(id, givenOptions(), callOf()),
            (error: unknown) => {
              assert.ok(error instanceof UserError, `expected a UserError, not ${String(error)}`)
              assert.equal(error.kind, 'usage')
              return true
            },
          )
        }),
    },
  ]
}
