import { userInfo } from 'node:os'
import { local } from '../../src/drivers/local/definition.ts'
import { ssh } from '../../src/drivers/ssh/definition.ts'
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
