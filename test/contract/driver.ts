import { describe, expect, test } from 'vitest'
import { type DriverUnderTest, driverContract } from '../../src/drivers/conformance/index.ts'

/** Far more than a call needs to end after an abort on a machine that does much else, in milliseconds. */
const settleTime = 60_000

/** Runs the conformance suite, which knows no test runner, on one of fleet's own drivers. */
export function describeDriver({ lifecycle, ...others }: DriverUnderTest): void {
  const subject = { ...others, ...(lifecycle && { lifecycle: { settleTime, ...lifecycle } }) }
  describe(`driver ${subject.definition.name}`, () => {
    test.each(driverContract(subject))('$name', async ({ run }) => {
      await expect(run()).resolves.toBeUndefined()
    })
  })
}
