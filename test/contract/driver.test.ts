import { userInfo } from 'node:os'
import { afterAll, beforeAll, describe } from 'vitest'
import { aws } from '../../src/drivers/aws/definition.ts'
import { local } from '../../src/drivers/local/definition.ts'
import { ssh } from '../../src/drivers/ssh/definition.ts'
import { type Aws, startAws } from '../support/aws/aws.ts'
import { labIsHere } from '../support/lab/lab.ts'
import { describeDriver } from './driver.ts'

describeDriver({
  definition: local,
  existing: { options: { socket: '/run/my.sock' }, facts: { socket: '/run/my.sock' } },
})

describeDriver({
  definition: ssh,
  existing: {
    options: { address: 'h1.example', port: 22 },
    facts: { address: 'h1.example', user: userInfo().username },
  },
})

describe.skipIf(!labIsHere)('on an AWS account', () => {
  let account: Aws
  beforeAll(async () => {
    account = await startAws()
    Object.assign(process.env, account.environment)
  })
  afterAll(() => account[Symbol.asyncDispose]())

  describeDriver({
    definition: aws,
    lifecycle: {
      options: { sshCidr: '203.0.113.9', tags: 'team=blue,left=1' },
      changes: {
        ...{ type: 't3.medium', disk: 30, tags: 'team=red', ports: '80,443' },
        ...{ sshCidr: '203.0.113.10', terminationProtection: true },
      },
      listResources: async () => Object.values(await account.world()).flat(),
    },
  })
})
