import { describe } from 'vitest'
import { openLocal } from '../../src/transport/local/local.ts'
import { connectSsh } from '../../src/transport/ssh/connect.ts'
import { labIsHere, startLab } from '../support/lab/lab.ts'
import { netcatLine } from '../support/ssh/proxy.ts'
import { hostOf, targetOf } from '../support/ssh/ssh-target.ts'
import { noDirect, startKeeper } from '../support/crash/keeper.ts'
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
    const keeper = await startKeeper()
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

  transportContract('SSH', async () => {
    const lab = await startLab({ hosts: 1 })
    const [host] = lab.hosts
    if (!host) throw new Error('one host was asked for')
    const target = {
      machine: host.name,
      address: host.address,
      port: host.port,
      user: host.user,
      hostKeys: [host.hostKey],
      identityFiles: [lab.identity.file],
    }
    const transport = await connectSsh(target, { env: {} })
    return {
      transport,
      async [Symbol.asyncDispose]() {
        await transport[Symbol.asyncDispose]()
        await lab[Symbol.asyncDispose]()
      },
    }
  })
})
