import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { listRepositories, listTags } from '../../../src/docker/registry-api.ts'
import { startFakeRegistry } from '../../support/in-process/fake-registry.ts'

const { signal } = new AbortController()

async function start(answer: RequestListener, config: (name: string) => unknown = () => ({})) {
  const registry = await startFakeRegistry((request, response) => {
    if (request.url === '/v2/') response.end()
    else answer(request, response)
  })
  const folder = await mkdtemp(join(tmpdir(), 'fleet-registry-'))
  onTestFinished(async () => {
    await registry[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })
  await writeFile(join(folder, 'config.json'), JSON.stringify(config(registry.name)))
  const access = { env: { DOCKER_CONFIG: folder }, insecure: false, signal }
  return { name: registry.name, access }
}

const auth = Buffer.from('ana:secret').toString('base64')
const withLogin = (name: string) => ({ auths: { [name]: { auth } } })

test('fetches a token with the login, and uses it for all pages', async () => {
  const seen: [string | undefined, string | undefined][] = []
  const { name, access } = await start((request: IncomingMessage, response) => {
    const { authorization } = request.headers
    seen.push([request.url, authorization])
    if (request.url?.startsWith('/token')) return response.end('{"token":"abc"}')
    if (authorization !== 'Bearer abc') {
      const challenge = `Bearer realm="http://${request.headers.host}/token",service="lab",scope="repository:app:pull"`
      return response.writeHead(401, { 'WWW-Authenticate': challenge }).end()
    }
    const isLast = request.url?.includes('last=') === true
    if (!isLast) response.setHeader('Link', '</v2/app/tags/list?last=1>; rel="next"')
    return response.end(JSON.stringify({ tags: isLast ? ['2'] : ['1'] }))
  }, withLogin)
  expect(await listTags(name, 'app', access)).toEqual(['1', '2'])
  expect(seen).toEqual([
    ['/v2/app/tags/list?n=1000', undefined],
    ['/token?service=lab&scope=repository%3Aapp%3Apull', `Basic ${auth}`],
    ['/v2/app/tags/list?n=1000', 'Bearer abc'],
    ['/v2/app/tags/list?last=1', 'Bearer abc'],
  ])
})

test('exchanges an identity token in a form body, not in the URL', async () => {
  let form = ''
  const { name, access } = await start(
    (request: IncomingMessage, response) => {
      if (request.method === 'POST') {
        request.on('data', (chunk: Buffer) => (form += chunk.toString()))
        return request.on('end', () => response.end('{"access_token":"abc"}'))
      }
      if (request.headers.authorization === 'Bearer abc') return response.end('{"tags":null}')
      const challenge = `Bearer realm="http://${request.headers.host}/token",service="lab"`
      return response.writeHead(401, { 'WWW-Authenticate': challenge }).end()
    },
    (registry) => ({ auths: { [registry]: { auth, identitytoken: 'refresh' } } }),
  )
  expect(await listTags(name, 'app', access)).toEqual([])
  expect(new URLSearchParams(form).get('refresh_token')).toBe('refresh')
})

test.each<[string, string, RequestListener]>([
  [
    'requests a login at a server without HTTPS',
    'not an HTTPS URL',
    (_, response) =>
      response
        .writeHead(401, { 'WWW-Authenticate': 'Bearer realm="http://192.0.2.1/token"' })
        .end(),
  ],
  [
    'links to results on another server',
    'on another server: http://192.0.2.1/',
    (_, response) =>
      response.setHeader('Link', '<http://192.0.2.1/>; rel="next"').end('{"tags":[]}'),
  ],
  [
    'links to the same page of results again',
    'returned the same page of results twice',
    (_, response) =>
      response.setHeader('Link', '</v2/app/tags/list?n=1000>; rel="next"').end('{"tags":[]}'),
  ],
  [
    'sends an invalid list',
    'the field tags is missing or invalid',
    (_, response) => response.end('{"tags":[1]}'),
  ],
  [
    'sends invalid JSON',
    'the field tags is missing or invalid',
    (_, response) => response.end('<html>'),
  ],
  [
    'sends too much data',
    'longer than 4194304 bytes',
    (_, response) => response.end(JSON.stringify({ tags: ['x'.repeat(5_000_000)] })),
  ],
  [
    'redirects the request',
    'HTTP 302',
    (_, response) => response.writeHead(302, { Location: 'http://192.0.2.1/' }).end(),
  ],
  [
    'refuses the login',
    'with the login in your Docker configuration',
    (_, response) => response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="lab"' }).end(),
  ],
])('reports an error if a registry %s', async (_what, message, answer) => {
  const { name, access } = await start(answer, withLogin)
  await expect(listTags(name, 'app', access)).rejects.toThrow(message)
})

test('reports a registry that cannot list its repositories as unsupported', async () => {
  const { name, access } = await start((_, response) => response.writeHead(404).end())
  await expect(listRepositories(name, access)).rejects.toMatchObject({ kind: 'unsupported' })
})
