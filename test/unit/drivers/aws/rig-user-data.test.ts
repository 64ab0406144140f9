import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { writeUserData } from '../../../../src/provision/cloud-init/user-data.ts'
import { readUserData } from '../../../support/aws/hosts/user-data.ts'

const hostKey = { privateKey: '-----BEGIN\nline\n-----END\n', publicKey: 'ssh-ed25519 BBBB' }
const boot = {
  hostName: 'web-1',
  user: 'ana',
  authorizedKeys: ['ssh-ed25519 AAAA ana'],
  hostKey,
  engine: undefined,
}
const read = (userData: string | Buffer) =>
  readUserData({
    userData: Buffer.from(userData),
    user: 'admin',
    publicKey: 'ssh-ed25519 CCCC pair',
  })
const ana = {
  name: 'ana',
  keys: ['ssh-ed25519 AAAA ana'],
  groups: ['docker'],
  sudo: ['ALL=(ALL) NOPASSWD:ALL'],
}
const admin = {
  name: 'admin',
  keys: ['ssh-ed25519 CCCC pair'],
  groups: ['adm', 'sudo'],
  sudo: ['ALL=(ALL) NOPASSWD:ALL'],
}

test('reads the user-data that fleet writes, also compressed with gzip', () => {
  const text = writeUserData(boot)
  for (const userData of [text, gzipSync(text)])
    expect(read(userData)).toEqual({
      hostKey: hostKey.privateKey,
      hostname: 'web-1',
      accounts: [ana],
    })
})

test("adds fleet's account to those of custom user-data, and merges the keys of the image's account", () => {
  const text = '#cloud-config\nhostname: mine\nssh_authorized_keys: [ssh-ed25519 DDDD]\n'
  const own = { file: 'own.yaml', content: new TextEncoder().encode(text) }
  const { hostname, accounts } = read(writeUserData({ ...boot, own }))
  expect(hostname).toBe('web-1')
  expect(accounts).toEqual([{ ...admin, keys: [...admin.keys, 'ssh-ed25519 DDDD'] }, ana])
  const asAdmin = read(writeUserData({ ...boot, user: 'admin', own }))
  expect(asAdmin.accounts).toMatchObject([
    { name: 'admin', keys: ['ssh-ed25519 CCCC pair', 'ssh-ed25519 DDDD', 'ssh-ed25519 AAAA ana'] },
  ])
})

test('creates the account of the image if the user-data has none', () => {
  for (const nothing of ['', '#!/bin/sh\ntrue\n', '#cloud-config\n'])
    expect(read(nothing)).toEqual({ hostKey: undefined, hostname: undefined, accounts: [admin] })
})
