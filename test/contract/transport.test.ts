import { describe } from 'vitest'
import { openLocal } from '../../src/transport/local/local.ts'
import { connectOpenSsh } from '../../src/transport/openssh/connect.ts'
import { connectSsh } from '../../src/transport/ssh/connect.ts'
import { labIsHere, startLab } from '../support/lab/lab.ts'
import { netcatLine } from '../support/ssh/proxy.ts'
import { hostOf, targetOf } from '../support/ssh/ssh-target.ts'
import { noDirect, startTestBroker } from '../support/crash/test-broker.ts'
import { transportContract } from './transport.ts'

describe.skipIf(process.platform !== 'linux')('on this computer', () => {
  transportContract('this computer', async () => {
    const transport = openLocal(process.env)
    return { transport, [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() }
  })
})

describe.skipIf(!labIsHere)('on a lab host', () => {
  transportContract('the broker', async () => {
    const lab = await startLab({ hosts: 1 })
    const keeper = await startTestBroker()
    const target = targetOf(lab, hostOf(lab))
    const transport = await keeper.client.connect(
      { ...target, via: undefined },
      { env: {} },
      noDirect,
    )
    return {
      transport,
      async [Symbol.asyncDispose]() {
        await transport[Symbol.asyncDispose]()
        await keeper[Symbol.asyncDispose]()
        await lab[Symbol.asyncDispose]()
      },
    }
  })

  transportContract('SSH through a ProxyCommand', async () => {
    const lab = await startLab({ hosts: 1 })
    const host = hostOf(lab)
    const proxyCommand = { shell: netcatLine(host) }
    const target = { ...targetOf(lab, host), address: 'h1.invalid', proxyCommand }
    const transport = await connectSsh(target, { env: {} })
    return {
      transport,
      async [Symbol.asyncDispose]() {
        await transport[Symbol.asyncDispose]()
        await lab[Symbol.asyncDispose]()
      },
    }
  })

  for (const [name, connect] of [
    ['SSH', connectSsh],
    ['OpenSSH', connectOpenSsh],
  ] as const) {
    transportContract(name, async () => {
      const lab = await startLab({ hosts: 1 })
      const transport = await connect(targetOf(lab, hostOf(lab)), { env: {} })
      return {
        transport,
        async [Symbol.asyncDispose]() {
          await transport[Symbol.asyncDispose]()
          await lab[Symbol.asyncDispose]()
        },
      }
    })
  }
})
