import { after, before, test } from 'node:test'
import { driverContract } from 'fleet/driver-contract'
import { startCloud } from 'fleet-driver-example/provider'
import definition from 'fleet-driver-example'

const token = 'for-tests'
const cloud = await startCloud({ token, delay: 20 })

before(() => {
  process.env['EXAMPLE_CLOUD_TOKEN'] = token
})
after(() => cloud.close())

const cases = driverContract({
  definition,
  lifecycle: {
    options: { zone: 'north', size: 'small', endpoint: cloud.endpoint },
    listResources: async () => cloud.things(),
  },
})
for (const { name, run } of cases) void test(name, run)
