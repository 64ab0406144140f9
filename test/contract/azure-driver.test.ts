import { afterAll, beforeAll } from 'vitest'
import { checkRecords } from '../../src/drivers/check-records.ts'
import { azure } from '../../src/drivers/azure/definition.ts'
import { type DriverSeat, seatDriver } from '../support/azure/driver-seat.ts'
import { describeDriver } from './driver.ts'

let seat: DriverSeat

beforeAll(async () => {
  seat = await seatDriver({ settleMs: 5, pageSize: 50 })
})
afterAll(() => seat[Symbol.asyncDispose]())

describeDriver({
  definition: { ...azure, load: async () => checkRecords(seat.driver) },
  lifecycle: {
    options: { location: 'westeurope', tags: 'team=blue,left=1' },
    changes: {
      ...{ size: 'Standard_D2s_v5', disk: 64, tags: 'team=red', ports: '80,443' },
      ...{ sshCidr: '203.0.113.10', encryptionAtHost: true },
    },
    listResources: async () => {
      await seat.azure.idle()
      const { groups, resources } = seat.azure.store
      const bodies = [...resources.values()].map(({ body }) => body)
      return [...groups.values(), ...bodies].map(({ id, tags = {} }) => ({ id, tags }))
    },
  },
})
