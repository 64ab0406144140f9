import { generateKeyPairSync } from 'node:crypto'
import ssh2 from 'ssh2'
import { expect, test } from 'vitest'
import { followUserAuth } from '../../../../../src/transport/ssh/login/userauth-protocol.ts'
import { chooseAlgorithm, privateKeyFrom } from '../../../../../src/transport/ssh/login/key.ts'
import { wireString } from '../../../../../src/transport/ssh/wire-format.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsa = privateKeyFrom(privateKey)

test.each([
  [['ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512'], 'rsa-sha2-512'],
  [['rsa-sha2-256'], 'rsa-sha2-256'],
  [['ssh-rsa', 'ssh-ed25519'], undefined],
  [[], undefined],
])(
  'for a server that accepts %j, an RSA key is offered with the algorithm %s, never with SHA-1',
  (server, expected) => {
    const offer = rsa && chooseAlgorithm(rsa, server)
    expect(offer?.signature).toBe(expected)
    expect(offer?.offered).toBe(expected)
  },
)

test('an RSA certificate is offered with a certificate algorithm', () => {
  const type = 'ssh-rsa-cert-v01@openssh.com'
  const fields = [type, 'nonce', 'e', 'n'].map(wireString)
  expect(chooseAlgorithm({ type, blob: Buffer.concat(fields) }, ['rsa-sha2-256'])).toEqual({
    offered: 'rsa-sha2-256-cert-v01@openssh.com',
    signature: 'rsa-sha2-256',
  })
})

test('ssh2 has the internal fields that a login uses', () => {
  const client = new ssh2.Client()
  client.on('error', () => {})
  client.connect({ host: '127.0.0.1', port: 1, username: 'x', password: 'x', readyTimeout: 0 })
  const auth = followUserAuth(client)
  expect(auth.progress()).toEqual({ left: undefined, partial: false })
  expect(auth.signatureAlgorithms()).toEqual([])
  const { _protocol: inside } = client as unknown as { _protocol: object }
  expect(inside).toMatchObject({
    _authsQueue: [],
    _cipher: { allocPacket: expect.any(Function), encrypt: expect.any(Function) },
    _handlers: { EXT_INFO: expect.any(Function), USERAUTH_FAILURE: expect.any(Function) },
  })
  expect(client).toHaveProperty('_remoteVer')
  client.destroy()
})
