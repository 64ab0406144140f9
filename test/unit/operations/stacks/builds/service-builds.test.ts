import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { findBuilds } from '../../../../../src/operations/stacks/builds/service-builds.ts'
import {
  type StackModel,
  type StackService,
  deployedModel,
} from '../../../../../src/operations/stacks/stack-model.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

const files = {
  'app/Dockerfile': 'FROM a',
  'app/.dockerignore': 'ignored',
  'app/main': 'x',
  'app/ignored': '1',
}

/**
 * Finds the builds of services in a clone that contains `files` and `laid`. `ROOT` in a service is the path of the
 * clone below the root.
 */
async function buildsOf(
  services: Readonly<Record<string, object>>,
  { laid = {}, mode = 0o644 }: { laid?: Readonly<Record<string, string>>; mode?: number } = {},
) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'builds-')))
  folders.push(folder)
  for (const [name, content] of Object.entries({ ...files, ...laid })) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  await chmod(join(folder, 'app/main'), mode)
  const text = JSON.stringify(services).replaceAll('ROOT', `/root-link${folder}`)
  const model: StackModel = {
    name: 'shop',
    services: JSON.parse(text) as Readonly<Record<string, StackService>>,
  }
  const builds = await findBuilds(model, { root: '/root-link', folder, projectFolder: folder })
  return { builds, model, folder }
}

const web = { build: { context: 'ROOT/app', dockerfile: 'Dockerfile', args: { A: '1' } } }
const imageOf = async (...args: Parameters<typeof buildsOf>) =>
  (await buildsOf(...args)).builds.images.get('web')

describe('images that a stack builds', () => {
  test('are named after their inputs, with the same name in every clone', async () => {
    const image = await imageOf({ web })
    expect(image).toMatch(/^shop-web:[0-9a-f]{12}$/)
    expect(await imageOf({ web })).toBe(image)
    expect(await imageOf({ web }, { laid: { 'app/ignored': '2', other: 'x' } })).toBe(image)
    expect(await imageOf({ web }, { mode: 0o600 })).toBe(image)
  })

  test.each([
    ['a change to a file', { web }, { laid: { 'app/main': 'y' } }],
    ['the addition of a file', { web }, { laid: { 'app/new': '' } }],
    ['a change to the Dockerfile', { web }, { laid: { 'app/Dockerfile': 'FROM b' } }],
    ['a change to .dockerignore', { web }, { laid: { 'app/.dockerignore': '' } }],
    ['a change to the mode of a file', { web }, { mode: 0o755 }],
    ['a change to a build argument', { web: { build: { ...web.build, args: { A: '2' } } } }, {}],
    ['a change of the platform', { web: { ...web, platform: 'linux/arm64' } }, {}],
  ])('get another name after %s', async (_what, services, more) => {
    expect(await imageOf(services, more)).not.toBe(await imageOf({ web }))
  })

  test('depend on images of other services that they are built from', async () => {
    const build = { context: 'ROOT/app', additional_contexts: { base: 'service:base' } }
    const services = { web: { build }, base: { build: { context: 'ROOT/base' } } }
    const laid = { 'base/Dockerfile': 'FROM a' }
    const image = await imageOf(services, { laid })
    expect(await imageOf(services, { laid: { 'base/Dockerfile': 'FROM b' } })).not.toBe(image)
  })

  test.each<[object, RegExp]>([
    [{ ssh: [{ id: 'key', path: '/home/ana/.ssh/id_rsa' }] }, /web uses ssh/],
    [{ ssh: ['default'] }, /web uses ssh/],
    [{ cache_to: ['type=local,dest=/home/ana'] }, /a local cache/],
    [{ cache_from: ['type=local,src=/home/ana'] }, /a local cache/],
    [{ additional_contexts: { x: 'oci-layout:///home/ana' } }, /oci-layout/],
  ])('are refused with the build option %j', async (more, why) => {
    await expect(buildsOf({ web: { build: { ...web.build, ...more } } })).rejects.toThrow(why)
  })

  test('keep the name from the Compose file, also in other services that use it', async () => {
    const { builds, model, folder } = await buildsOf({
      web: { ...web, image: 'registry.example:5000/team/app:1' },
      worker: { image: 'registry.example:5000/team/app:1' },
      Other_: web,
      db: { image: 'db:1' },
    })
    const { services } = deployedModel(model, new Map(), builds.images)
    expect(services['web']?.image).toMatch(/^registry\.example:5000\/team\/app:[0-9a-f]{12}$/)
    expect(services['worker']).toEqual({ image: services['web']?.image, pull_policy: 'never' })
    expect(services['Other_']?.image).toMatch(/^shop-other-[0-9a-f]{8}:[0-9a-f]{12}$/)
    expect(services['db']).toEqual({ image: 'db:1' })
    const built = builds.modelFor((path) => path.replace(folder, '/host'))
    expect(Object.keys(built.services)).toEqual(['web', 'Other_'])
    expect(built.services['web']).toEqual({
      build: { ...web.build, context: '/host/app' },
      image: services['web']?.image,
    })
    expect([...builds.files.keys()].toSorted()).toEqual([
      'files/app',
      'files/app/.dockerignore',
      'files/app/Dockerfile',
      'files/app/main',
    ])
  })
})
