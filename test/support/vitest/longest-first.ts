import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take minutes, the longest first: begun with last, they would run alone in the end. */
const long = [
  'e2e/drivers/qemu',
  'lab/virtualbox/driver',
  'e2e/drivers/aws-crash',
  'lab/virtualbox/crash',
  'lab/qemu/driver',
  'contract/virtualbox-driver',
  'e2e/drivers/virtualbox',
  'lab/aws/driver',
  'e2e/drivers/aws',
  'e2e/drivers/azure',
  'contract/driver',
  'lab/azure/crash',
  'contract/qemu-driver',
  'unit/state/inventory/hostile-inventories-1',
  'unit/state/inventory/hostile-inventories-2',
  'unit/transport/key-pair',
]

const rankOf = ({ moduleId }: TestSpecification): number => {
  const rank = long.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return rank === -1 ? long.length : rank
}

/** Begins with the files that take longest. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b))
  }
}
