// Exports of `fleet/driver-contract`, for tests of drivers outside the project.
import { definitionCases } from './definition-cases.ts'
import { hostileRecordCases } from './hostile-record-cases.ts'
import { interruptionCases } from './fault-cases.ts'
import { lifecycleCases } from './lifecycle-cases.ts'
import { powerCases } from './power-cases.ts'
import { describeExistingCases } from './describe-existing-cases.ts'
import { updateCases } from './update-cases.ts'
import { snapshotCases } from './snapshot-cases.ts'
import type { ContractCase, DriverUnderTest } from './driver-under-test.ts'

export type {
  ContractCase,
  DriverUnderTest,
  LifecycleUnderTest,
  ProviderResource,
} from './driver-under-test.ts'

/** Returns the conformance suite for a driver as a list of cases. Run them in this order, with any test runner. */
export const driverContract = (subject: DriverUnderTest): readonly ContractCase[] => [
  ...definitionCases(subject),
  ...(subject.lifecycle === undefined
    ? []
    : [
        ...lifecycleCases(subject.definition, subject.lifecycle),
        ...interruptionCases(subject.definition, subject.lifecycle),
        ...hostileRecordCases(subject.definition, subject.lifecycle),
        ...powerCases(subject.definition, subject.lifecycle),
        ...describeExistingCases(subject.definition, subject.lifecycle),
        ...snapshotCases(subject.definition, subject.lifecycle),
        ...updateCases(subject.definition, subject.lifecycle),
      ]),
]
