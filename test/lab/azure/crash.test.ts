import { oneOfEach, testCrashes } from '../../support/azure/crash-table.ts'

// Its group, and that of the network that it shares with others.
testCrashes('a group of its own', {}, [...oneOfEach, 'resourceGroups', 'resourceGroups'].toSorted())
