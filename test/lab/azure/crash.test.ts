import { oneOfEach, testCrashes } from '../../support/azure/crash-table.ts'

// The group of the host, and the group of the shared network.
testCrashes(
  'a separate resource group',
  {},
  [...oneOfEach, 'resourceGroups', 'resourceGroups'].toSorted(),
)
