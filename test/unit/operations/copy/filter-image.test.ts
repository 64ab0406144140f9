import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { filterImage } from '../../../../src/operations/copy/archive/filter-image.ts'
import { readTar } from '../../../../src/operations/copy/archive/read-tar.ts'
import { endOfArchive, entry } from '../../../support/hostile/hostile-archive.ts'

const hex = (letter: string): string => letter.repeat(64)
const blob = (letter: string): string => `blobs/sha256/${hex(letter)}`
const wanted = { id: `sha256:${hex('a')}`, tag: 'app:1' }

const app = { Config: blob('a'), RepoTags: ['app:1'], Layers: [blob('c')] }
const other = { Config: blob('b'), RepoTags: ['trusted:latest'], Layers: [blob('d')] }
const json = (name: string, value: unknown) => entry({ name }, JSON.stringify(value))
const named = (letter: string, name: string) => ({
  digest: `sha256:${hex(letter)}`,
  annotations: {
    'io.containerd.image.name': name,
    'org.opencontainers.image.ref.name': name.split(':').at(-1),
  },
})
const layers = [entry({ name: blob('a') }, '{}'), entry({ name: blob('c') }, 'layer')]

/** Filters an image archive, and resolves to the remaining entries, keyed by name. */
async function filter(parts: readonly Buffer[], image: Parameters<typeof filterImage>[1] = wanted) {
  const passed = filterImage(Readable.from([Buffer.concat([...parts, endOfArchive])]), image)
  const found: Record<string, unknown> = {}
  for await (const { entry: read, content } of readTar(passed)) {
    const text = (await buffer(content)).toString()
    found[read.name] = read.name.endsWith('.json') ? JSON.parse(text) : text
  }
  return found
}

describe('the archive of an image', () => {
  test("keeps the image's layers and name", async () => {
    expect(await filter([...layers, json('manifest.json', [app])])).toEqual({
      [blob('a')]: '{}',
      [blob('c')]: 'layer',
      'manifest.json': [app],
    })
  })

  test('loses all other images and names', async () => {
    const both = [{ ...app, RepoTags: ['app:1', 'trusted:latest'] }, other]
    const found = await filter([
      ...layers,
      json('./manifest.json', both),
      json('repositories', { trusted: { latest: hex('b') } }),
      json('index.json', {
        schemaVersion: 2,
        manifests: [
          named('b', 'docker.io/library/trusted:latest'),
          named('a', 'docker.io/library/app:1'),
        ],
      }),
    ])
    expect(found['manifest.json']).toEqual([app])
    expect(found['repositories']).toBeUndefined()
    expect(found['index.json']).toEqual({
      schemaVersion: 2,
      manifests: [named('a', 'docker.io/library/app:1')],
    })
  })

  test('gets the requested name, regardless of the names in it', async () => {
    const found = await filter([
      json('manifest.json', [other]),
      json('index.json', { manifests: [named('b', 'docker.io/library/trusted:latest')] }),
    ])
    expect(found['manifest.json']).toEqual([{ ...other, RepoTags: ['app:1'] }])
    expect(found['index.json']).toEqual({ manifests: [named('b', 'docker.io/library/app:1')] })
  })

  test('gets no name if the image is copied by ID', async () => {
    const found = await filter(
      [
        json('manifest.json', [other, app]),
        json('index.json', { manifests: [named('a', 'docker.io/library/trusted:latest')] }),
      ],
      { id: wanted.id, tag: undefined },
    )
    expect(found['manifest.json']).toEqual([{ ...app, RepoTags: null }])
    expect(found['index.json']).toEqual({
      manifests: [{ digest: `sha256:${hex('a')}`, annotations: {} }],
    })
  })

  test.each<[what: string, parts: Buffer[]]>([
    ['two images with the requested name', [json('manifest.json', [app, app])]],
    ['no image', [json('manifest.json', [])]],
    ['no manifest', layers],
    ['two manifests', [json('manifest.json', [app]), json('./manifest.json', [app])]],
    ['a manifest that is a symlink', [entry({ name: 'manifest.json', type: '2', linkname: 'x' })]],
    ['a manifest that is not JSON', [entry({ name: 'manifest.json' }, '[')]],
    ['a path that leaves the archive', [entry({ name: '../x' }, 'x')]],
    ['an absolute path', [entry({ name: '/etc/x' }, 'x')]],
    ['a symlink', [entry({ name: 'blobs', type: '2', linkname: '/etc' })]],
    ['a device file', [entry({ name: 'x', type: '3' })]],
  ])('is refused with %s', async (_what, parts) => {
    await expect(filter(parts)).rejects.toMatchObject({ kind: 'failed' })
  })
})
