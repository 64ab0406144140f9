import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import ssh2, { type ClientChannel, type Connection } from 'ssh2'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  protocolOf,
  requestsOver,
  serverReleaseOf,
} from '../../../../src/transport/ssh/ssh2-internals.ts'

// An ssh2 client and server, because fleet uses internal fields that other releases of ssh2 may not have.
const client = new ssh2.Client()
const server = new ssh2.Server({
  hostKeys: [ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }).private],
  ident: 'Test_1.0',
})
let channel: ClientChannel

beforeAll(async () => {
  server.on('connection', (connection: Connection) => {
    connection.on('authentication', (attempt) => attempt.accept())
    connection.on('session', (accept) => {
      const session = accept()
      session.on('pty', (take) => take())
      session.on('exec', (take) => void take())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  client.connect({ host: '127.0.0.1', port, username: 'test' })
  await once(client, 'ready')
  channel = await new Promise((resolve, reject) => {
    client.exec('true', { pty: true }, (error, opened) => (error ? reject(error) : resolve(opened)))
  })
})

afterAll(() => {
  client.destroy()
  server.close()
})

test('ssh2 has the internal protocol of a client', () => {
  expect(protocolOf(client)).toMatchObject({
    parse: expect.any(Function),
    _authsQueue: [],
    _cipher: { allocPacket: expect.any(Function), encrypt: expect.any(Function) },
    _handlers: { EXT_INFO: expect.any(Function), USERAUTH_FAILURE: expect.any(Function) },
  })
})

test('ssh2 has the software version of the server', () => {
  expect(serverReleaseOf(client)).toBe('Test_1.0')
})

test('ssh2 can send requests on a channel after the end of its input, until it is closed', async () => {
  channel.end()
  expect(requestsOver(channel)).toMatchObject({
    id: expect.any(Number),
    protocol: { signal: expect.any(Function), windowChange: expect.any(Function) },
  })
  channel.close()
  await expect.poll(() => requestsOver(channel)).toBeUndefined()
})
