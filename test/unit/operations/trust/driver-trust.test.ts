import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { array, assert, asyncProperty, constantFrom, record, uint8Array } from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findDriver } from '../../../../src/drivers/index.ts'
import { findDriverPackage } from '../../../../src/drivers/external/find-package.ts'
import { copyPackage, digestPackage } from '../../../../src/drivers/external/package-copy.ts'
import type { Context } from '../../../../src/operations/context.ts'
import { checkDriverTrust } from '../../../../src/operations/trust/check-driver-trust.ts'
import { readTrustSubjects, trustDrivers } from '../../../../src/operations/trust/trust-driver.ts'
import { openTrust } from '../../../../src/state/home/trust.ts'
import {
  installDriver,
  installZod,
  zoneDriver,
} from '../../../support/external-driver/driver-package.ts'

let root: string
let clone: string
let home: string
let context: Context

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'fleet-trust-'))
  await installZod(root)
})
afterAll(() => rm(root, { recursive: true, force: true }))

let made = 0
beforeEach(async () => {
  clone = join(root, `clone-${(made += 1)}`)
  home = join(clone, '..', `home-${made}`)
  await mkdir(clone)
  context = {
    inventory: async () => ({ location: join(clone, 'machines.yaml') }),
    trust: async () => openTrust(home),
    env: {},
    program: join(root, 'fleet/dist/main.js'),
  } as unknown as Context
})

const find = () =>
  findDriver('it', {
    folder: clone,
    env: {},
    checkTrust: (found) => checkDriverTrust(context, found),
  })
const trust = async () => trustDrivers(context, await readTrustSubjects(context, ['it']))
const untrusted = { kind: 'failed', hint: expect.stringContaining('fleet trust it') }

/** Installs the driver with `dependencies` in its package.json. */
async function install(code: string, dependencies: readonly string[] = ['zod']): Promise<string> {
  const folder = await installDriver(clone, 'it', code)
  const manifest = join(folder, 'package.json')
  const named = Object.fromEntries(dependencies.map((name) => [name, '*']))
  const before = JSON.parse(await readFile(manifest, 'utf8')) as object
  await writeFile(manifest, JSON.stringify({ ...before, dependencies: named }))
  return folder
}

/** Writes a package with a single module that contains `code`. */
const write = async (place: string, manifest: object, code: string) => {
  await mkdir(place, { recursive: true })
  await writeFile(
    join(place, 'package.json'),
    JSON.stringify({ type: 'module', exports: './i.js', ...manifest }),
  )
  await writeFile(join(place, 'i.js'), code)
}

describe('the code of a driver package', () => {
  test('runs only once it is trusted for the inventory, and only while it is unchanged', async () => {
    const folder = await install(zoneDriver('it'))
    await expect(find()).rejects.toMatchObject(untrusted)
    await trust()
    expect((await find()).summary).toBe('hosts of a zone, for a test')
    const other = join(clone, 'below')
    await mkdir(other)
    const elsewhere = {
      ...context,
      inventory: async () => ({ location: join(other, 'machines.yaml') }),
    }
    const found = await findDriverPackage('it', { folder: other, env: {} })
    await expect(
      checkDriverTrust(elsewhere as unknown as Context, found as never),
    ).rejects.toMatchObject(untrusted)
    await writeFile(join(folder, 'new.js'), '')
    await expect(find()).rejects.toMatchObject({
      ...untrusted,
      message: expect.stringContaining('has changed since it was trusted'),
    })
  })

  test('is identified by a digest of all its files and those of its dependencies', async () => {
    await install(zoneDriver('it'), ['zod', 'dep'])
    const places = ['fleet-driver-it/lib/a.js', 'fleet-driver-it/data', 'dep/index.js', 'dep/x/y']
    await mkdir(join(clone, 'node_modules/dep/x'), { recursive: true })
    await mkdir(join(clone, 'node_modules/fleet-driver-it/lib'))
    await writeFile(join(clone, 'node_modules/dep/package.json'), '{"name":"dep"}')
    for (const place of places) await writeFile(join(clone, 'node_modules', place), 'before')
    const found = await findDriverPackage('it', { folder: clone, env: {} })
    if (found === undefined) throw new Error('not installed')
    const { digest, dependencies } = await digestPackage(found)
    expect(dependencies).toBe(2)
    await assert(
      asyncProperty(constantFrom(...places), uint8Array({ maxLength: 9 }), async (place, bytes) => {
        const file = join(clone, 'node_modules', place)
        await writeFile(file, bytes)
        const isSame = Buffer.from(bytes).toString() === 'before'
        expect((await digestPackage(found)).digest === digest).toBe(isSame)
        await writeFile(file, 'before')
        expect((await digestPackage(found)).digest).toBe(digest)
      }),
      { numRuns: 20 },
    )
  })

  test('is loaded from a copy that cannot import files outside the digest', async () => {
    const evil = `globalThis.ranEvil = true; export default {}`
    await mkdir(join(clone, 'node_modules/undeclared'), { recursive: true })
    await writeFile(
      join(clone, 'node_modules/undeclared/package.json'),
      '{"exports":"./i.js","type":"module"}',
    )
    await writeFile(join(clone, 'node_modules/undeclared/i.js'), evil)
    await writeFile(join(clone, 'evil.js'), evil)
    for (const from of ['undeclared', '../../evil.js', '../../../evil.js']) {
      await install(`import '${from}'\n${zoneDriver('it')}`)
      await trust()
      await expect(find()).rejects.toMatchObject({ kind: 'failed' })
    }
    const folder = await install(zoneDriver('it'))
    await writeFile(
      join(folder, 'package.json'),
      '{"name":"fleet-driver-it","version":"1.2.3","type":"module","main":"../../evil.js"}',
    )
    await trust()
    await expect(find()).rejects.toMatchObject({ kind: 'failed' })
    expect(globalThis).not.toHaveProperty('ranEvil')
  })

  test('leaves no copy if its digest differs from the trusted one', async () => {
    await install(zoneDriver('it'))
    const found = await findDriverPackage('it', { folder: clone, env: {} })
    if (found === undefined) throw new Error('not installed')
    const place = { folder: join(home, 'packages'), fleet: '/nowhere' }
    await mkdir(place.folder, { recursive: true })
    expect(await copyPackage(found, `sha256:${'0'.repeat(64)}`, place)).toBeUndefined()
    expect(await readdir(place.folder)).toEqual([])
  })

  test.each([
    [
      'a symlink to a file outside the package',
      async (folder: string) => symlink('../../evil.js', join(folder, 'x')),
    ],
    [
      'a symlink to a directory outside the package',
      async (folder: string) => symlink('/etc', join(folder, 'x')),
    ],
    [
      'a dependency whose name is a path',
      async (folder: string) =>
        writeFile(join(folder, 'package.json'), '{"dependencies":{"../../../evil":"*"}}'),
    ],
    [
      'a package.json that is not JSON',
      async (folder: string) => writeFile(join(folder, 'package.json'), '{'),
    ],
  ])('is refused with %s', async (_what, change) => {
    const folder = await install(zoneDriver('it'))
    await writeFile(join(clone, 'evil.js'), '')
    await change(folder)
    await expect(trust()).rejects.toMatchObject({ name: 'UserError', kind: 'failed' })
  })

  test('can contain internal links, and several versions of a dependency', async () => {
    const folder = await install(
      `import { inner } from './linked.js'\nimport dep from 'dep'\nimport two from 'two'\n${zoneDriver('it')}\nglobalThis.versions = [inner, dep, two]`,
      ['zod', 'dep', 'two'],
    )
    await writeFile(join(folder, 'inner.js'), 'export const inner = 0')
    await symlink('inner.js', join(folder, 'linked.js'))
    const modules = join(clone, 'node_modules')
    await write(join(modules, 'dep'), {}, 'export default 1')
    await write(
      join(modules, 'two'),
      { dependencies: { dep: '*' } },
      "import dep from 'dep'\nexport default dep",
    )
    await write(join(modules, 'two/node_modules/dep'), {}, 'export default 2')
    await trust()
    await find()
    expect(globalThis).toHaveProperty('versions', [0, 1, 2])
  })
})

test('the trust store is private, and is not read if another user can write to it', async () => {
  const kept = openTrust(home)
  await assert(
    asyncProperty(
      array(record({ inventory: constantFrom('/a', '/b'), owner: constantFrom(1, 2) }), {
        maxLength: 4,
      }),
      async (inventories) => {
        await kept.update((before) => ({ ...before, inventories }))
        expect((await kept.read()).inventories).toEqual(inventories)
      },
    ),
    { numRuns: 10 },
  )
  const open = join(root, 'open')
  await mkdir(open)
  await cp(join(home, 'trust.json'), join(open, 'trust.json'))
  await chmod(join(open, 'trust.json'), 0o666)
  await expect(openTrust(open).read()).rejects.toMatchObject({ kind: 'failed' })
  await writeFile(join(home, 'trust.json'), '{"version":9}')
  await expect(kept.read()).rejects.toMatchObject({ kind: 'failed', hint: expect.any(String) })
})
