import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take minutes, longest first. If they were started last, they would run alone at the end. */
const long = [
  'lab/azure/crash',
  'lab/azure/crash-yours',
  'e2e/drivers/qemu',
  'e2e/drivers/aws-crash',
  'lab/virtualbox/driver',
  'contract/virtualbox-driver',
  'lab/provision/engine-settings',
  'lab/provision/upgrade-engine',
  'e2e/stacks/releases',
  'e2e/stacks/interrupted',
  'e2e/drivers/aws',
  'e2e/stacks/failure',
  'lab/aws/driver',
  'contract/driver',
  'e2e/machine/machines',
  'lab/virtualbox/crash',
  'e2e/broker/soak',
  'e2e/stacks/hostile',
  'e2e/stacks/created',
  'e2e/stacks/deploy',
  'e2e/swarm/services',
  'e2e/swarm/power',
  'e2e/swarm/engines',
  'e2e/swarm/interrupted',
  'e2e/stacks/hand-made',
  'e2e/drivers/azure',
  'lab/docker/repository',
  'lab/compose/compose-files',
  'lab/qemu/driver',
  'lab/provision/first-boot',
  'lab/provision/provision',
  'e2e/machine/create',
  'lab/docker/registry',
  'e2e/broker/cut-link',
  'lab/doctor/doctor',
  'lab/aws/peer-groups',
  'contract/engine',
  'contract/qemu-driver',
  'lab/docker/passthrough',
  'lab/ssh/link',
  'e2e/drivers/virtualbox',
  'fuzz/hostile-inventories-1',
  'fuzz/hostile-inventories-2',
]

const rankOf = ({ moduleId }: TestSpecification): number => {
  const rank = long.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return rank === -1 ? long.length : rank
}

/** Moves the files that take longest to the beginning. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b))
  }
}
