import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type Release,
  addRelease,
  finishRelease,
  nextNumber,
  parseRelease,
  readReleaseContent,
  readReleases,
  removeReleases,
} from '../../../../../src/operations/stacks/host-store/releases.ts'
import { parseStoredModel } from '../../../../../src/operations/stacks/host-store/stored-model.ts'
import { openLocal } from '../../../../../src/transport/local/local.ts'

const host = { name: 'web-1', transport: openLocal(process.env) }
let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'store-')), "it's shop")
})
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }))

const release = (number: number, state: Release['state'] = 'deploying'): Release => ({
  ...{ number, state, by: 'ana@laptop', at: '2026-01-02T03:04:05Z', commit: 'abc-dirty' },
  ...{ compose: '2.40.3', digest: 'd', images: { web: `sha256:${'a'.repeat(64)}` } },
})

const content = {
  model: { name: 'shop', services: { web: { image: 'app:1', command: ['echo', '$$x'] } } },
  files: '["a",{"type":"folder","mode":493}]\n',
  environment: { TOKEN: "it's\nsecret" },
}

describe('the releases of a stack on a host', () => {
  test('are empty before the first one', async () => {
    const none = await readReleases(host, folder)
    expect(none).toEqual({ current: undefined, all: [] })
    expect(nextNumber(none)).toBe(1)
  })

  test('become current once they are ready, and can be read back', async () => {
    await addRelease(host, folder, release(1), content)
    expect(await readReleases(host, folder)).toEqual({ current: undefined, all: [release(1)] })
    await finishRelease(host, folder, release(1, 'ready'))
    await addRelease(host, folder, release(2), content)
    const failed: Release = { ...release(2, 'failed'), reason: 'web is unhealthy' }
    await finishRelease(host, folder, failed)
    const both = await readReleases(host, folder)
    expect(both).toEqual({ current: 1, all: [release(1, 'ready'), failed] })
    expect(nextNumber(both)).toBe(3)
    expect(await readReleaseContent(host, folder, release(1))).toEqual(content)
    await finishRelease(host, folder, release(2, 'ready'))
    expect((await readReleases(host, folder)).current).toBe(2)
    await removeReleases(host, folder, [release(1)])
    expect(await readReleases(host, folder)).toEqual({ current: 2, all: [release(2, 'ready')] })
  })

  test.each(['not JSON', '[]', 'null'])(
    'are refused with a clear error if their variables on the host are %s',
    async (variables) => {
      await addRelease(host, folder, release(1), content)
      await writeFile(join(folder, 'releases/1/environment.json'), variables)
      await expect(readReleaseContent(host, folder, release(1))).rejects.toMatchObject({
        kind: 'failed',
        message: 'release 1 on web-1 has no variables that fleet can read',
      })
    },
  )

  test('are not overwritten by another one with the same number', async () => {
    await addRelease(host, folder, release(1), content)
    await expect(
      addRelease(host, folder, { ...release(1), by: 'ben@desk' }, content),
    ).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('release 1 exists'),
    })
    expect((await readReleases(host, folder)).all).toEqual([release(1)])
  })

  test('count as failed if they are damaged, and their number is not reused', async () => {
    await addRelease(host, folder, release(1), content)
    await writeFile(join(folder, 'releases', '1', 'release.json'), '{"numb')
    const read = await readReleases(host, folder)
    expect(read).toMatchObject({
      current: undefined,
      all: [{ number: 1, state: 'failed', reason: 'release.json cannot be read' }],
    })
    expect(nextNumber(read)).toBe(2)
  })

  test.each([
    ['{}'],
    ['[]'],
    ['null'],
    ['x'],
    ['{"number":2,"state":"ready","images":{}}'],
    ['{"number":1,"state":"great","images":{}}'],
    ['{"number":1,"state":"ready","images":[]}'],
  ])('%s on a host is not a valid release', (text) => {
    expect(parseRelease(1, text)).toBeUndefined()
  })

  test('are read from a host with limited text lengths and valid image IDs only', () => {
    const images = { web: 'sha256:x', db: `sha256:${'b'.repeat(64)}` }
    const text = JSON.stringify({ ...release(1), by: 7, reason: 'x'.repeat(5000), images })
    expect(parseRelease(1, text)).toMatchObject({
      by: '',
      images: { db: images.db },
      reason: 'x'.repeat(1000),
    })
  })
})

const parse = (service: object, more: object = {}) =>
  parseStoredModel(JSON.stringify({ name: 'shop', services: { web: service }, ...more }), 'it')

describe('a model stored on a host', () => {
  test('is used if it cannot read files or variables of this computer', () => {
    const service = { image: 'a', command: 'echo $$HOME $$$$', environment: { A: '1' } }
    expect(parse(service).services['web']).toEqual(service)
    expect(parse({ security_opt: ['seccomp=unconfined'] }).name).toBe('shop')
  })

  test.each<[object, object?]>([
    [{ env_file: [{ path: '/home/ana/.aws/credentials' }] }],
    [{ build: { context: '/home' } }],
    [{ provider: { type: 'x' } }],
    [{ label_file: ['/etc/passwd'] }],
    [{ extends: { file: '/x', service: 'y' } }],
    [{ credential_spec: { file: '/x' } }],
    [{ security_opt: ['seccomp:/etc/shadow'] }],
    [{ environment: { AWS_SECRET_ACCESS_KEY: null } }],
    [{ command: ['${AWS_SECRET_ACCESS_KEY}'] }],
    [{ command: ['$$$AWS_SECRET_ACCESS_KEY'] }],
    [{ labels: { $HOME: 'x' } }],
    [{ use_api_socket: true }],
    [{ models: ['m'] }],
    [{ later_key: '/x' }],
    [{}, { include: ['/x'] }],
    [{}, { models: { m: {} } }],
  ])('is refused with %j %j', (service, more) => {
    expect(() => parse(service, more)).toThrow(
      /it was not used, because it could access this computer/,
    )
  })

  test.each([
    '',
    '[]',
    '{"name":"shop"}',
    '{"name":"shop","services":[]}',
    '{"name":"shop","services":{"a":null}}',
  ])('is refused if it is %j', (text) => {
    expect(() => parseStoredModel(text, 'it')).toThrow(
      /no Compose configuration that fleet can read/,
    )
  })
})
