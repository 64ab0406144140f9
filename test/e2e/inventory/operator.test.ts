import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CatchingProxy, startProxy } from '../../support/azure/proxy.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const ed25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB'
const rsa = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ=='

let folder: string
let proxy: CatchingProxy
let ana: TestUser
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'github-'))
  const { key, cert, caFile } = await makeCertificates(folder, ['github.com'])
  const server = createServer({ key, cert }, ({ url }, answer) => {
    if (url === '/broken.keys') answer.writeHead(503).end()
    else if (url === '/nokey.keys') answer.end('')
    else if (url === '/ana.keys') answer.end(`${rsa}\n${ed25519}\n`)
    else answer.writeHead(404).end('Not Found')
  })
  proxy = await startProxy(['github.com'], server)
  env = { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: caFile }
  ana = await makeTestUser()
})

afterAll(async () => {
  await ana[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

test('operator add --github takes the best key from GitHub, through the proxy', async () => {
  const words = ['operator', 'add', 'ana', '--github', 'ana', '--on', 'role=web']
  expect(await ana.fleet(words, { env })).toMatchObject({ code: 0 })
  const { stdout } = await ana.fleet(['operator', 'ls', '--json'])
  expect(JSON.parse(stdout)).toEqual([
    { name: 'ana', on: ['role=web'], fingerprint: expect.stringMatching(/^SHA256:/) as string },
  ])
  expect(await ana.inventory()).toContain(`key: ${ed25519} ana`)
  expect(await ana.fleet(['operator', 'rm', 'ana'])).toMatchObject({ code: 0 })
  expect(await ana.inventory()).toBe('version: 1\nid: 0123abcd\nmachines: {}\n')
  expect(await ana.fleet(['operator', 'rm', 'ana'])).toMatchObject({ code: 2 })
})

test.each([
  ['nobody', 1, 'no such user'],
  ['broken', 1, 'HTTP status 503'],
  ['nokey', 2, 'there is no public key in GitHub account nokey'],
  ['../x', 2, 'is not a valid GitHub user name'],
])('operator add fails for the GitHub user %s, and writes nothing', async (user, code, why) => {
  const before = await ana.inventory()
  const answer = await ana.fleet(['operator', 'add', 'x', '--github', user], { env })
  expect(answer.stderr).toContain(why)
  expect(answer.code).toBe(code)
  expect(await ana.inventory()).toBe(before)
})

test('operator add refuses a private key, and a missing key', async () => {
  const file = join(folder, 'id')
  await writeFile(file, '-----BEGIN OPENSSH PRIVATE KEY-----\nx\n')
  const answer = await ana.fleet(['operator', 'add', 'x', '--key', file])
  expect(answer).toMatchObject({ code: 2 })
  expect(answer.stderr).toContain(`specify the public key: ${file}.pub`)
  expect(await ana.fleet(['operator', 'add', 'x'])).toMatchObject({ code: 2 })
})
