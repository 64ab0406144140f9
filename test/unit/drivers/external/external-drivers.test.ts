import { chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BootstrapData, HostSpec } from '../../../../src/drivers/driver.ts'
import { findDriver } from '../../../../src/drivers/index.ts'
import { checkOptions, optionFlags } from '../../../../src/drivers/options/option-flags.ts'
import { UserError } from '../../../../src/errors.ts'
import type { HostRecord } from '../../../../src/machine/machine.ts'
import type { MachineName } from '../../../../src/machine/name.ts'
import { openFileInventory } from '../../../../src/state/inventory/file-inventory.ts'
import {
  installDriver,
  installZod,
  zoneDriver,
} from '../../../support/external-driver/driver-package.ts'

/** Returns the code of a driver definition that is valid except for `wrong`. */
const definitionWith = (wrong: string): string =>
  `import * as z from 'zod'\nexport default { contract: 2, name: 'it', summary: 'a driver',
  options: z.strictObject({}), load: async () => ({ observe: async () => new Map() }), ${wrong} }`

const hosts = (name: string) => new Map([[name as MachineName, {} as HostRecord]])

describe('an external driver', () => {
  let root: string
  const find = (name: string, folder = root, env = {}) =>
    findDriver(name, { folder, env, checkTrust: async ({ holder }) => holder })

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'fleet-drivers-'))
    await installZod(root)
  })
  afterAll(() => rm(root, { recursive: true, force: true }))

  test("is found from the inventory's directory upward, and works with its own copy of zod", async () => {
    await installDriver(root, 'zone', zoneDriver('zone'))
    const deep = join(root, 'a/b')
    await mkdir(deep, { recursive: true })
    const definition = await find('zone', deep)
    expect(optionFlags(definition).map(({ name }) => name)).toEqual(['zone', 'boot-size', 'tier'])
    expect(checkOptions(definition, { zone: 'x' })).toEqual({ zone: 'x', bootSize: 3 })
    expect(() => checkOptions(definition, { zone: 'x', tier: 'huge' })).toThrow(
      '--tier: expected one of small, large',
    )
    const driver = await definition.load('/nowhere', { env: process.env })
    const call = { signal: new AbortController().signal, progress: () => {} }
    expect(await driver.locate?.('m' as never, { zone: 'x' }, call)).toMatchObject({ user: 'ops' })
  })

  test('is found among the global packages, after those near the inventory', async () => {
    const prefix = join(root, 'prefix')
    const elsewhere = await mkdtemp(join(tmpdir(), 'fleet-elsewhere-'))
    await installZod(join(prefix, 'lib'))
    await installDriver(join(prefix, 'lib'), 'global', zoneDriver('global'))
    for (const variable of ['npm_config_prefix', 'PREFIX']) {
      expect((await find('global', elsewhere, { [variable]: prefix })).name).toBe('global')
    }
    await expect(find('global', elsewhere)).rejects.toMatchObject({ kind: 'usage' })
    const inFolder = { PREFIX: relative(process.cwd(), prefix) }
    await expect(find('global', elsewhere, inFolder)).rejects.toMatchObject({ kind: 'usage' })
    await rm(elsewhere, { recursive: true })
  })

  test('that does not exist is reported with the nearest name, or the places that were searched', async () => {
    await expect(find('shh')).rejects.toMatchObject({ kind: 'usage', hint: 'did you mean ssh?' })
    await expect(find('no-such-driver')).rejects.toMatchObject({
      kind: 'usage',
      hint: expect.stringContaining(`fleet-driver-NAME in ${root} or globally`),
    })
  })

  test('cannot be named by a path', async () => {
    await installDriver(root, 'x', zoneDriver('x'))
    for (const name of ['x/../fleet-driver-x', '../x', 'x/driver.js', '']) {
      await expect(find(name)).rejects.toMatchObject({ kind: 'usage' })
    }
  })

  test.each([
    [
      'throws an error when it is imported',
      'failed',
      'throw new Error("no such luck")',
      'no such luck',
    ],
    [
      'imports a package that is not installed',
      'failed',
      'import "not-there"',
      "Cannot find package 'not-there'",
    ],
    ['exports no driver', 'failed', 'export const x = 1', 'not a driver with a contract version'],
    [
      'has a newer contract version',
      'unsupported',
      definitionWith('contract: 3'),
      'driver contract version 3',
    ],
    [
      'exports a driver with another name',
      'failed',
      definitionWith("name: 'other'"),
      'its driver is named "other"',
    ],
    [
      'accepts unknown options',
      'failed',
      definitionWith('options: z.object({})'),
      'z.strictObject from zod 4',
    ],
    [
      'has no schema for its options',
      'failed',
      definitionWith('options: {}'),
      'z.strictObject from zod 4',
    ],
    [
      'has an option of an unsupported type',
      'failed',
      definitionWith('options: z.strictObject({ when: z.date() })'),
      'option when: the type date is not supported',
    ],
    [
      'has no load function',
      'failed',
      definitionWith('load: undefined'),
      'its driver has no load\\(\\) function',
    ],
  ])('that %s is reported with its package and path', async (folder, kind, code, why) => {
    const place = join(root, folder)
    const path = await installDriver(place, 'it', code)
    await expect(find('it', place)).rejects.toMatchObject({
      name: 'UserError',
      kind,
      message: expect.stringMatching(new RegExp(`fleet-driver-it 1\\.2\\.3 \\(${path}\\).*${why}`)),
      hint: expect.any(String),
    })
  })

  test.each([
    [
      'returns a rejected promise',
      "load: async () => { throw new Error('not ready') }",
      'not ready',
    ],
    ['throws an error', "load() { throw new Error('no login') }", 'no login'],
    ['returns no driver', 'load: async () => ({})', 'load() did not return a driver'],
  ])('whose load() %s is reported as failed', async (folder, load, why) => {
    const place = join(root, folder)
    await installDriver(place, 'it', definitionWith(load))
    const definition = await find('it', place)
    await expect(definition.load('/nowhere', { env: process.env })).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringContaining(why),
    })
  })

  test('is blamed for its own bugs, but not for its UserErrors or an abort', async () => {
    const place = join(root, 'mistaken')
    await installDriver(
      place,
      'it',
      definitionWith(`load: async () => Object.freeze({
        // As a copy of fleet's class that came with the package.
        fail: Object.assign(new Error('no such zone'), { kind: 'usage', [Symbol.for('fleet.UserError')]: true }),
        async observe(hosts, { signal }) {
          if (hosts.has('user')) throw this.fail
          if (hosts.has('abort')) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
          return hosts.get('none').id
        },
        power: { start() { return null.id } },
        lifecycle: { plan: async () => ({ user: 'u', make: async () => undefined.id }) },
      })`),
    )
    const driver = await (await find('it', place)).load('/nowhere', { env: process.env })
    const { signal } = new AbortController()
    const call = { signal, progress: () => {} }
    const mistake = {
      kind: 'failed',
      message: expect.stringMatching(/fleet-driver-it 1\.2\.3 .* has a bug: .*driver\.js:\d+/),
      hint: 'report the problem to the package author',
    }
    await expect(driver.observe(hosts('other'), call)).rejects.toMatchObject(mistake)
    await expect(driver.power?.start({} as HostRecord, call)).rejects.toMatchObject(mistake)
    const plan = await driver.lifecycle?.plan({} as HostSpec, {}, call)
    expect(plan?.user).toBe('u')
    await expect(plan?.make({} as BootstrapData, call)).rejects.toMatchObject(mistake)
    const thrown = await driver.observe(hosts('user'), call).catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(UserError)
    expect(thrown).toMatchObject({ kind: 'usage', message: 'no such zone' })
    const aborting = { ...call, signal: AbortSignal.timeout(20) }
    await expect(driver.observe(hosts('abort'), aborting)).rejects.toMatchObject({
      name: 'TimeoutError',
    })
    expect('locate' in driver).toBe(false)
  })

  test.skipIf(process.getuid?.() !== 0)('owned by another user is not run', async () => {
    const place = join(root, 'theirs')
    const path = await installDriver(place, 'it', 'globalThis.ranTheirs = true')
    await chown(path, 12_345, 12_345)
    const refused = { kind: 'failed', message: expect.stringContaining('is owned by another user') }
    await expect(find('it', place)).rejects.toMatchObject(refused)
    const linked = join(root, 'linked')
    await mkdir(join(linked, 'node_modules'), { recursive: true })
    await symlink(path, join(linked, 'node_modules/fleet-driver-it'))
    await expect(find('it', linked)).rejects.toMatchObject(refused)
    expect(globalThis).not.toHaveProperty('ranTheirs')
  })
})

describe('an inventory with external drivers', () => {
  let root: string
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'fleet-inventory-'))
    await installZod(root)
    await installDriver(root, 'zone', zoneDriver('zone'))
  })
  afterAll(() => rm(root, { recursive: true, force: true }))

  async function read(machines: string): Promise<{ asked: string[]; machines: string[] }> {
    const file = join(root, 'machines.yaml')
    await writeFile(file, `version: 1\nid: 0123abcd\nmachines:\n${machines}`)
    const asked: string[] = []
    const known = new Map<string, Awaited<ReturnType<typeof findDriver>>>()
    const store = openFileInventory(file, {
      async loadOptions(names) {
        asked.push(...names)
        for (const name of names) {
          const driver = await findDriver(name, {
            folder: root,
            env: {},
            checkTrust: async ({ holder }) => holder,
          }).catch(() => undefined)
          if (driver !== undefined) known.set(name, driver)
        }
        return { optionsOf: (name) => known.get(name)?.options }
      },
    })
    await store.read()
    return { asked, machines: [...(await store.read()).machines.keys()] }
  }

  test('has its driver options checked, with the position of each problem and a suggestion', async () => {
    await expect(
      read('  a: { driver: zone, options: { zone: n, bootsize: 4 } }\n'),
    ).rejects.toThrow(
      /machines\.yaml:4:\d+: machines\.a\.options\.bootsize: unknown key \(did you mean "bootSize"\?\)/,
    )
    await expect(read('  a: { driver: zone, options: { zone: n, tier: larg } }\n')).rejects.toThrow(
      /expected "small" or "large", got "larg" \(did you mean "large"\?\)/,
    )
  })

  test('is read even if a driver is missing, and looks for each driver once', async () => {
    const text =
      '  a: { driver: zone, options: { zone: n } }\n  b: { driver: gone, options: { x: 1 } }\n'
    expect(await read(text)).toEqual({ asked: ['zone', 'gone'], machines: ['a', 'b'] })
  })
})
