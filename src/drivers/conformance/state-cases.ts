import assert from 'node:assert/strict'
import { UserError } from '../../errors.ts'
import type { HostRecord } from '../../machine/machine.ts'
import { checkOptions, checkSaidOptions } from '../options/option-flags.ts'
import type { DriverDefinition } from '../driver.ts'
import type { ContractCase, LifecycleSubject } from './driver-under-test.ts'
import { callOf, withTrial } from './harness.ts'

/** Cases for `describeExisting`. They pass if the driver does not support it. */
export function recallCases(
  definition: DriverDefinition,
  subject: LifecycleSubject,
): ContractCase[] {
  const said = (): Readonly<Record<string, unknown>> =>
    checkSaidOptions(definition, subject.options)
  return [
    {
      name: 'recalls a host by its id, to be observed and switched, and owns nothing of it',
      run: () =>
        withTrial(definition, subject, async ({ begin, driver, lifecycle, look }) => {
          if (driver.describeExisting === undefined) return
          const creation = begin('conformance-recall')
          const made = await creation.make()
          assert.ok(made.id, 'the host has no id')
          const before = await look()
          const { options = {}, ...facts } = await driver.describeExisting(
            made.id,
            said(),
            callOf(),
          )
          for (const key of ['id', 'address', 'port', 'user'] as const) {
            assert.equal(facts[key], made[key], `what is recalled differs in ${key}`)
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
          assert.deepEqual(await look(), before, 'a host that is recalled is somebody else’s')
        }),
    },
    {
      name: 'recalls no host by an id that is gone',
      run: () =>
        withTrial(definition, subject, async ({ begin, driver }) => {
          if (driver.describeExisting === undefined) return
          const creation = begin('conformance-unknown')
          const { id = '' } = await creation.make()
          await creation.remove()
          await assert.rejects(driver.describeExisting(id, said(), callOf()), (error: unknown) => {
            assert.ok(error instanceof UserError, `no UserError: ${String(error)}`)
            assert.equal(error.kind, 'usage')
            return true
          })
        }),
    },
  ]
}
