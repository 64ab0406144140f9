import { once } from 'node:events'
import { connect } from 'node:net'
import { dialEngine } from '../../src/operations/connect/reach-engine.ts'
import { connectSsh } from '../../src/transport/ssh/connect.ts'
import type { Account } from '../support/lab/accounts.ts'
import type { Lab, LabHost } from '../support/lab/lab.ts'
import { type EngineAccess, engineContract } from './engine.ts'

engineContract('a Unix socket', async (host) => ({
  async dial() {
    const connection = connect(host.engineSocket)
    await once(connection, 'connect')
    return connection
  },
  async [Symbol.asyncDispose]() {},
}))

async function overSsh(host: LabHost, lab: Lab, user: Account): Promise<EngineAccess> {
  const transport = await connectSsh(
    {
      machine: host.name,
      address: host.address,
      port: host.port,
      user,
      hostKeys: [host.hostKey],
      identityFiles: [lab.identity.file],
    },
    { env: {} },
  )
  return {
    dial: dialEngine(transport, '/var/run/docker.sock', host.name),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}

engineContract('a forwarded socket', (host, lab) => overSsh(host, lab, 'ana'))

engineContract('a command run by sudo', (host, lab) => overSsh(host, lab, 'bob'), {
  sshdOptions: { AllowStreamLocalForwarding: 'no' },
})
