import { oneOfEach, testCrashes } from '../../support/azure/crash-table.ts'

testCrashes('a group of yours', { resourceGroup: 'yours' }, oneOfEach)
