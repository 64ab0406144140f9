import { chmod, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseMachineName } from '../../../../src/machine/name.ts'
import { openFileInventory } from '../../../../src/state/inventory/file-inventory.ts'
import { openInventoryCache, createMemoryCache } from '../../../../src/state/inventory/cache.ts'

const text = 'version: 1\nid: 4f0c2f6e\nmachines:\n  10:\n    driver: x\n  2:\n    driver: x\n'
let folder = ''
let cacheFolder = ''
let file = ''
/** Number of times that an inventory was parsed, counted by the requests for drivers' options. */
let parsed = 0

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-cache-'))
  cacheFolder = join(folder, 'home', 'cache')
  file = join(folder, 'machines.yaml')
  parsed = 0
  await writeFile(file, text)
})
afterEach(() => rm(folder, { recursive: true }))

/** Reads an inventory as a command does. */
const read = (path = file, build = 'one', remembered?: ReturnType<typeof createMemoryCache>) =>
  openFileInventory(path, {
    async loadOptions() {
      parsed += 1
      return { optionsOf: () => undefined }
    },
    cache: openInventoryCache(cacheFolder, build, remembered),
  }).read()

const namesIn = async (...from: Parameters<typeof read>): Promise<string[]> => [
  ...(await read(...from)).machines.keys(),
]

const cached = async (): Promise<string> =>
  join(cacheFolder, (await readdir(cacheFolder))[0] ?? 'nothing is cached')

describe('a cached inventory', () => {
  it('is parsed once, stored privately, and parsed again when its text changes', async () => {
    expect([await namesIn(), await namesIn(), parsed]).toEqual([['10', '2'], ['10', '2'], 1])
    expect((await stat(cacheFolder)).mode & 0o777).toBe(0o700)
    expect((await stat(await cached())).mode & 0o777).toBe(0o600)
    await writeFile(file, text.replace('  2:', '  3:'))
    expect([await namesIn(), parsed]).toEqual([['10', '3'], 2])
    expect(await readdir(cacheFolder)).toHaveLength(1)
  })

  it('equals a parsed one', async () => {
    const [first, second] = [await read(), await read()]
    expect(second).toStrictEqual(first)
    expect(second.machines.get(parseMachineName('10'))).toEqual({ name: '10', driver: 'x' })
  })

  it('is kept in memory within a process until its text changes', async () => {
    const remembered = createMemoryCache()
    const names = async () => [...(await read(file, 'one', remembered)).machines.keys()]
    await names()
    expect([await names(), parsed]).toEqual([['10', '2'], 1]) // from the cache directory
    await rm(cacheFolder, { recursive: true })
    expect([await names(), parsed]).toEqual([['10', '2'], 1])
    await writeFile(file, text.replace('  2:', '  3:'))
    expect([await names(), parsed]).toEqual([['10', '3'], 2])
  })

  it.each<[string, (place: string) => Promise<unknown>]>([
    ['truncated', async (place) => writeFile(place, (await readFile(place)).subarray(0, -9))],
    [
      'modified',
      async (place) => writeFile(place, (await readFile(place, 'utf8')).replace('"x"', '"y"')),
    ],
    ['empty', (place) => writeFile(place, '')],
    ['not JSON', (place) => writeFile(place, '\0\n{')],
    ['readable by other users', (place) => chmod(place, 0o644)],
    [
      'a symlink',
      async (place) => {
        const elsewhere = join(folder, 'elsewhere')
        await writeFile(elsewhere, await readFile(place), { mode: 0o600 })
        await rm(place)
        await symlink(elsewhere, place)
      },
    ],
  ])('that is %s is parsed again', async (_, damage) => {
    await namesIn()
    await damage(await cached())
    expect([await namesIn(), parsed]).toEqual([['10', '2'], 2])
    expect([await namesIn(), parsed]).toEqual([['10', '2'], 2])
  })

  it('of another build is ignored', async () => {
    await namesIn(file, 'one')
    expect([await namesIn(file, 'two'), parsed]).toEqual([['10', '2'], 2])
  })

  it('that cannot be written is parsed each time', async () => {
    await writeFile(join(folder, 'home'), 'a file where the folder should be')
    expect([await namesIn(), await namesIn(), parsed]).toEqual([['10', '2'], ['10', '2'], 2])
  })

  it('is removed when many others are read', async () => {
    for (let index = 0; index < 20; index += 1) {
      const other = join(folder, `${index}.yaml`)
      await writeFile(other, text)
      await namesIn(other)
    }
    expect(await readdir(cacheFolder)).toHaveLength(16)
  })
})
