import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take minutes, the longest first: begun with last, they would run alone in the end. */
const long = [
  'lab/virtualbox/driver',
  'contract/virtualbox-driver',
  'e2e/drivers/aws-crash',
  'e2e/drivers/aws',
  'e2e/drivers/qemu',
  'lab/aws/driver',
  'contract/driver',
  'lab/virtualbox/crash',
  'lab/azure/crash',
  'lab/qemu/driver',
  'e2e/drivers/azure',
  'lab/compose/compose-files',
  'e2e/broker/soak',
  'lab/provision/provision',
  'lab/docker/registry',
  'e2e/machine/create',
  'contract/engine',
  'contract/qemu-driver',
  'e2e/drivers/virtualbox',
  'unit/state/inventory/hostile-inventories-1',
  'unit/state/inventory/hostile-inventories-2',
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
