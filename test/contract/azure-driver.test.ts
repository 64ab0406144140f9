import { afterAll, beforeAll } from 'vitest'
import { azure } from '../../src/drivers/azure/definition.ts'
import { type DriverSeat, seatDriver } from '../support/azure/driver-seat.ts'
import { describeDriver } from './driver.ts'

let seat: DriverSeat

beforeAll(async () => {
  seat = await seatDriver({ settleMs: 5, pageSize: 50 })
})
afterAll(() => seat[Symbol.asyncDispose]())

describeDriver({
  definition: { ...azure, load: async () => seat.driver },
  lifecycle: {
    options: { location: 'westeurope' },
    look: async () => {
      await seat.azure.idle()
      const { groups, resources } = seat.azure.store
      const bodies = [...resources.values()].map(({ body }) => body)
      return [...groups.values(), ...bodies].map(({ id, tags = {} }) => ({ id, tags }))
    },
  },
})
