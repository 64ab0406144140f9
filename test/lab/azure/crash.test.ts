import { oneOfEach, testCrashes } from '../../support/azure/crash-table.ts'

// Two groups: the host's, and the shared network's.
testCrashes(
  'a separate resource group',
  {},
  [...oneOfEach, 'resourceGroups', 'resourceGroups'].toSorted(),
)
