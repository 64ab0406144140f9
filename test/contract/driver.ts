import { describe, expect, test } from 'vitest'
import { type DriverUnderTest, driverContract } from '../../src/drivers/conformance/index.ts'

/** Runs the conformance suite, which knows no test runner, on one of fleet's own drivers. */
export function describeDriver(subject: DriverUnderTest): void {
  describe(`driver ${subject.definition.name}`, () => {
    test.each(driverContract(subject))('$name', async ({ run }) => {
      await expect(run()).resolves.toBeUndefined()
    })
  })
}
