import { oneOfEach, testCrashes } from '../../support/azure/crash-table.ts'

testCrashes('an existing resource group', { resourceGroup: 'yours' }, oneOfEach)
