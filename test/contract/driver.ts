import { describe, expect, test } from 'vitest'
import { type DriverUnderTest, driverContract } from '../../src/drivers/conformance/index.ts'

/** Time for a call to settle after an abort, in milliseconds. It is generous, because the computer may be busy. */
const settleTime = 60_000

/** Runs the conformance suite, which is independent of any test runner, on a built-in driver. */
export function describeDriver({ lifecycle, ...others }: DriverUnderTest): void {
  const subject = { ...others, ...(lifecycle && { lifecycle: { settleTime, ...lifecycle } }) }
  describe(`driver ${subject.definition.name}`, () => {
    test.each(driverContract(subject))('$name', async ({ run }) => {
      await expect(run()).resolves.toBeUndefined()
    })
  })
}
