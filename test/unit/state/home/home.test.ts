import { execFileSync } from 'node:child_process'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseMachineName } from '../../../../src/machine/name.ts'
import { openActive } from '../../../../src/state/home/active.ts'
import { openFileInventory } from '../../../../src/state/inventory/file-inventory.ts'
import { findInventory } from '../../../../src/state/inventory/find-inventory.ts'
import { preparePrivateFolder } from '../../../../src/state/home/home.ts'
import { locateHome } from '../../../../src/state/home/locate-home.ts'
import { initInventory, writeNewInventory } from '../../../../src/state/inventory/init-inventory.ts'
import { openKeys } from '../../../../src/state/home/keys.ts'
import { openTrust } from '../../../../src/state/home/trust.ts'
import { parseInventory } from '../../../../src/state/inventory/parse-inventory.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-home-'))
})
afterEach(() => rm(folder, { recursive: true }))

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

const find = (named?: string): Promise<string> =>
  findInventory({
    ...{ named, cwd: join(folder, 'a', 'b'), home: join(folder, 'home') },
    ...{ env: {}, trust: async () => openTrust(join(folder, 'home')) },
  })
const openActiveIn = (inventory = 'machines.yaml'): ReturnType<typeof openActive> =>
  openActive(join(folder, 'home'), join(folder, inventory))
const openKeysHere = (): ReturnType<typeof openKeys> => openKeys(join(folder, 'home'))
const path = (): string => join(folder, 'ops', 'machines.yaml')
const optionsOf = () => undefined

describe('the home directory', () => {
  it.each([
    [{ FLEET_HOME: '/f', XDG_DATA_HOME: '/x', HOME: '/h' }, 'linux', '/f'],
    [{ FLEET_HOME: '', XDG_DATA_HOME: '/x', HOME: '/h' }, 'linux', '/x/fleet'],
    [{ XDG_DATA_HOME: 'relative', HOME: '/h' }, 'linux', '/h/.local/share/fleet'],
    [{ HOME: '/h' }, 'linux', '/h/.local/share/fleet'],
    [{}, 'linux', join(homedir(), '.local/share/fleet')],
    [{ HOME: '/h' }, 'darwin', '/h/Library/Application Support/fleet'],
    [{ LOCALAPPDATA: '/l', HOME: '/h' }, 'win32', '/l/fleet'],
  ] as const)('with %j on %s is %s', (env, platform, home) => {
    expect(locateHome(env, platform)).toBe(home)
  })

  it('is created with access for its owner only, which is restored if it was changed', async () => {
    const home = join(folder, 'new', 'home')
    await preparePrivateFolder(home)
    expect(await modeOf(home)).toBe(0o700)
    await chmod(home, 0o755)
    await preparePrivateFolder(home)
    expect(await modeOf(home)).toBe(0o700)
  })

  it('is refused by name if it is a file', async () => {
    await writeFile(join(folder, 'home'), '')
    await expect(preparePrivateFolder(join(folder, 'home', 'keys'))).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringContaining(join(folder, 'home')) as string,
    })
  })
})

describe('the inventory that is used', () => {
  beforeEach(() => mkdir(join(folder, 'a', 'b'), { recursive: true }))

  it.skipIf(process.platform === 'win32')('is not a pipe, a device or a socket', async () => {
    const place = join(folder, 'a/machines.yaml')
    const server = createServer().listen(place)
    await once(server, 'listening')
    await expect(find()).rejects.toMatchObject({
      kind: 'inventory',
      message: expect.stringContaining('not a regular file'),
    })
    expect(await find(place)).toBe(place)
    server.close()
  })

  it('is the named one, the nearest one above, or the one in the home directory', async () => {
    expect(await find()).toBe(join(folder, 'home/machines.yaml'))
    await writeFile(join(folder, 'machines.yaml'), '')
    expect(await find()).toBe(join(folder, 'machines.yaml'))
    await writeFile(join(folder, 'a', 'machines.yaml'), '')
    expect(await find()).toBe(join(folder, 'a/machines.yaml'))
    expect(await find('../other.yaml')).toBe(join(folder, 'a/other.yaml'))
    expect(await find('/told.yaml')).toBe('/told.yaml')
  })
})

describe('the active machine', () => {
  const [a, b, c] = ['a', 'b', 'c'].map(parseMachineName) as [never, never, never]

  it('is undefined before a machine is used, without writing anything', async () => {
    expect(await openActiveIn().current()).toBeUndefined()
    expect(await openActiveIn().previous()).toBeUndefined()
    await openActiveIn().drop(a)
    expect(await readdir(folder)).toEqual([])
  })

  it('is stored for each inventory, together with the previous one', async () => {
    await openActiveIn().use(a)
    await openActiveIn().use(b)
    await openActiveIn('other.yaml').use(c)
    expect(await openActiveIn().current()).toBe('b')
    expect(await openActiveIn().previous()).toBe('a')
    await openActiveIn().use(b)
    expect(await openActiveIn().previous()).toBe('a')
    expect(await openActiveIn('other.yaml').current()).toBe('c')
    expect(await modeOf(join(folder, 'home', 'active.json'))).toBe(0o600)
  })

  it('is the same when the inventory is found through a link', async () => {
    await writeFile(join(folder, 'machines.yaml'), '')
    await symlink('machines.yaml', join(folder, 'link.yaml'))
    await openActiveIn().use(a)
    expect(await openActiveIn('link.yaml').current()).toBe('a')
  })

  it('is forgotten with its machine', async () => {
    await openActiveIn().use(a)
    await openActiveIn().use(b)
    await openActiveIn().drop(a)
    expect(await openActiveIn().previous()).toBeUndefined()
    await openActiveIn().drop(b)
    expect(await openActiveIn().current()).toBeUndefined()
  })

  it.each(['', '{', 'null', '[]', '{"x": null}', '{"__proto__": {"current": "a"}}'])(
    'is undefined if its file is damaged: %s',
    async (text) => {
      await mkdir(join(folder, 'home'))
      await writeFile(join(folder, 'home', 'active.json'), text)
      expect(await openActiveIn().current()).toBeUndefined()
      await openActiveIn().use(a)
      expect(await openActiveIn().current()).toBe('a')
    },
  )

  it('is stored for all inventories when they are written at the same time', async () => {
    const inventories = Array.from({ length: 10 }, (_, index) => `${index}.yaml`)
    await Promise.all(inventories.map((inventory) => openActiveIn(inventory).use(a)))
    for (const inventory of inventories) expect(await openActiveIn(inventory).current()).toBe('a')
  })
})

describe('private keys', () => {
  const fingerprint = `SHA256:${'a/+'.repeat(14)}A`

  it('are found at the path where the user keeps them', async () => {
    const [first, second] = [join(folder, 'id_1'), join(folder, 'id_2')]
    await writeFile(first, 'one')
    await writeFile(second, 'two')
    expect(await openKeysHere().find(fingerprint)).toBeUndefined()
    await openKeysHere().remember(fingerprint, first)
    expect(await openKeysHere().find(fingerprint)).toBe(first)
    await openKeysHere().remember(fingerprint, second)
    expect(await openKeysHere().find(fingerprint)).toBe(second)
    expect(await modeOf(join(folder, 'home', 'keys'))).toBe(0o700)
    expect(await readdir(join(folder, 'home', 'keys'))).toHaveLength(1)
  })

  it('are still found by path if the file no longer exists, for the error message', async () => {
    const file = join(folder, 'id_1')
    await writeFile(file, 'one')
    await openKeysHere().remember(fingerprint, file)
    await rm(file)
    expect(await openKeysHere().find(fingerprint)).toBe(file)
  })

  it.each(['', 'SHA256:', '../../x', `SHA256:${'/'.repeat(42)}..`])(
    'are refused for the invalid fingerprint %j',
    async (text) => {
      await expect(openKeysHere().find(text)).rejects.toThrow('not a SHA256 fingerprint')
    },
  )
})

describe('a new inventory', () => {
  it('can be read, has a new ID, and accepts a first machine', async () => {
    const { id, files, git } = await initInventory(path(), '{}\n', process.env)
    expect(git).toBeUndefined()
    expect(files).toEqual([path(), join(folder, 'ops', 'machines.schema.json')])
    const store = openFileInventory(path(), {
      loadOptions: async () => ({ optionsOf }),
    })
    expect(await store.read()).toMatchObject({ id, machines: new Map() })
    await store.update(parseMachineName('a'), () => ({ driver: 'local' }))
    expect(await readFile(path(), 'utf8')).toMatch(
      /admin \}\nmachines:\n  a:\n    driver: local\n$/,
    )
  })

  it.each(['01234567', '97598e81', '4f0c2f6e'])('can be read with the id %s', (id) => {
    expect(parseInventory(writeNewInventory(id), 'f', optionsOf).valid.file).toMatchObject({ id })
  })

  it('does not overwrite existing files', async () => {
    await initInventory(path(), 'one', process.env)
    const text = await readFile(path(), 'utf8')
    await expect(initInventory(path(), 'two', process.env)).rejects.toMatchObject({
      kind: 'inventory',
    })
    expect(await readFile(path(), 'utf8')).toBe(text)
    expect(await readFile(join(folder, 'ops', 'machines.schema.json'), 'utf8')).toBe('one')
  })

  it('in a git work tree ignores files that killed writers leave behind, with a single line', async () => {
    execFileSync('git', ['init', '-q', folder])
    await mkdir(join(folder, 'ops'))
    const ignore = join(folder, 'ops', '.gitignore')
    await writeFile(ignore, 'dist')
    expect((await initInventory(path(), '', process.env)).files).toContain(ignore)
    expect(await readFile(ignore, 'utf8')).toBe('dist\n/machines.yaml.*\n')
    await rm(path())
    expect(await initInventory(path(), '', process.env)).toMatchObject({
      files: [path()],
      git: { files: [], failure: undefined },
    })
    expect(await readFile(ignore, 'utf8')).toBe('dist\n/machines.yaml.*\n')
  })
})
