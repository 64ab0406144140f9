import { expect, test } from 'vitest'
import type { Exchange } from './exchange.ts'
import { judge, judgeIsMissing } from './judge.ts'

/** Exchanges that Microsoft's API descriptions do not contain. */
const undescribed =
  /^GET Microsoft\.Compute\/(?:skus|images\/?|galleries\/\S+|locations\/\w+\/publishers\/\S+)$|^GET Microsoft\.Network\/bastionHosts$|^GET Microsoft\.Network\/locations\/\w+\/usages$|^(?:GET|DELETE|PATCH) Microsoft\.Compute\/disks$|^PATCH \S+\/providers\/Microsoft\.Resources\/tags\/default$/

/** Defines the last test of a file, which checks that all previous exchanges match Microsoft's API descriptions. */
export function testDescribed(exchanges: () => readonly Exchange[]): void {
  test(
    "all requests and responses match Microsoft's API descriptions",
    { timeout: 600_000 },
    async ({ skip }) => {
      skip(judgeIsMissing !== undefined, judgeIsMissing)
      const verdicts = await judge(exchanges())
      expect(verdicts.length).toBeGreaterThan(20)
      expect(verdicts.filter(({ troubles }) => troubles.length > 0)).toEqual([])
      const unknown = verdicts
        .filter(({ isUnknown }) => isUnknown)
        .map(({ operation }) => operation)
      expect(unknown.filter((operation) => !undescribed.test(operation))).toEqual([])
    },
  )
}
