import { execFileSync } from 'node:child_process'
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  mkdtemp,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isListening, execute } from '../../../../src/drivers/qemu/qmp.ts'
import { pathsIn } from '../../../../src/drivers/qemu/host-file.ts'
import { runProgram } from '../../../../src/drivers/qemu/programs.ts'
import { UserError } from '../../../../src/errors.ts'
import { trustInventoryFile } from '../../../../src/operations/trust/trust-inventory.ts'
import { isSocketFolder, prepareSocketFolder } from '../../../../src/os/socket-folder.ts'
import { findInventory } from '../../../../src/state/inventory/find-inventory.ts'
import { checkHome, preparePrivateFolder } from '../../../../src/state/home/home.ts'
import { openTrust } from '../../../../src/state/home/trust.ts'

const stranger = 12_345
let folder = ''
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'fleet-foreign-')))
})
afterEach(() => rm(folder, { recursive: true }))

const home = () => join(folder, 'home')
const file = () => join(folder, 'a/machines.yaml')

const find = (env: Record<string, string> = {}, named?: string) =>
  findInventory({
    ...{ named, cwd: join(folder, 'a/b'), home: home(), env },
    trust: async () => openTrust(home()),
  })

const refused = (why: string) => ({
  kind: 'inventory',
  message: expect.stringContaining(why),
  hint: expect.stringContaining(`fleet trust inventory ${file()}`),
})

test('only an inventory can be trusted as an inventory', async () => {
  const trust = openTrust(home())
  const pipe = join(folder, 'pipe')
  execFileSync('/bin/sh', ['-c', 'mkfifo "$0"', pipe])
  const others: readonly (readonly [string, string | undefined])[] = [
    ['empty.yaml', ''],
    ['compose.yaml', 'services: { web: { image: nginx } }\n'],
    ['package.json', '{"name": "fleet", "version": "1.0.0"}\n'],
    ['passwd', 'root:x:0:0:root:/root:/bin/sh\n'],
    ['broken.yaml', 'version: 1\nid: 0123abcd\nmachines: { a: { driver: ssh, password: x } }\n'],
    ['program', '\u007fELF\0'],
    ['.', undefined],
    ['pipe', undefined],
    ['nothing.yaml', undefined],
  ]
  for (const [name, text] of others) {
    const path = join(folder, name)
    if (text !== undefined) await writeFile(path, text)
    const refused = trustInventoryFile({ trust: async () => trust }, { cwd: folder, file: path })
    const kind = await refused.catch((error: unknown) => error instanceof UserError && error.kind)
    expect({ name, kind }).toEqual({ name, kind: 'inventory' })
  }
  expect((await trust.read()).inventories).toEqual([])

  const driverOfClone =
    'version: 1\nid: 0123abcd\nmachines: { a: { driver: acme, options: { x: 1 } } }\n'
  await writeFile(join(folder, 'machines.yaml'), driverOfClone)
  await trustInventoryFile({ trust: async () => trust }, { cwd: folder, file: undefined })
  expect((await trust.read()).inventories).toMatchObject([
    { inventory: join(folder, 'machines.yaml') },
  ])
})

/** Only root can create directories that belong to another user. */
describe.skipIf(process.getuid?.() !== 0)('protection against other users', () => {
  beforeEach(async () => {
    await mkdir(join(folder, 'a/b'), { recursive: true })
    await writeFile(file(), '')
  })

  test('refuses an inventory for its owner, its directory or its mode', async () => {
    expect(await find()).toBe(file())
    await chown(file(), stranger, stranger)
    await expect(find()).rejects.toMatchObject(refused(`belongs to another user (UID ${stranger})`))
    await chown(file(), 0, 0)
    await chmod(file(), 0o666)
    await expect(find()).rejects.toMatchObject(refused('every user can write to'))
    await chmod(file(), 0o664) // group access is deliberate, as with the umask of many distributions
    expect(await find()).toBe(file())
    await chmod(join(folder, 'a'), 0o777)
    await expect(find()).rejects.toMatchObject(refused('every user can write to'))
    await chmod(join(folder, 'a'), 0o1777) // sticky, like /tmp: users cannot replace each other's files
    expect(await find()).toBe(file())
    await chown(join(folder, 'a'), stranger, stranger)
    await expect(find()).rejects.toMatchObject(refused(`belongs to another user (UID ${stranger})`))
  })

  test('refuses a link for its own owner, or for the owner of its target', async () => {
    const real = join(folder, 'real')
    await rm(file())
    await mkdir(real)
    await writeFile(join(real, 'x.yaml'), '')
    await symlink('../real/x.yaml', file())
    expect(await find()).toBe(file())
    await chown(join(real, 'x.yaml'), stranger, stranger)
    await expect(find()).rejects.toMatchObject(refused('x.yaml belongs to'))
    await chown(join(real, 'x.yaml'), 0, 0)
    await lchown(file(), stranger, stranger)
    await expect(find()).rejects.toMatchObject(refused('belongs to'))
  })

  test('accepts an inventory that was named, is trusted, or belongs to the user who ran sudo', async () => {
    await chown(file(), stranger, stranger)
    expect(await find({}, 'machines.yaml')).toBe(join(folder, 'a/b/machines.yaml'))
    expect(await find({ SUDO_UID: `${stranger}` })).toBe(file())
    await expect(find({ SUDO_UID: '' })).rejects.toMatchObject({ kind: 'inventory' })
    await expect(find({ SUDO_UID: '1' })).rejects.toMatchObject({ kind: 'inventory' })
    await writeFile(file(), 'version: 1\nid: 0123abcd\n')
    await trustInventoryFile(
      { trust: async () => openTrust(home()) },
      { cwd: join(folder, 'a/b'), file: undefined },
    )
    expect(await find()).toBe(file())
    await chown(file(), stranger + 1, stranger)
    await expect(find()).rejects.toMatchObject({ kind: 'inventory' })
  })

  test("refuses another user's home directory, unless a new directory in it was chosen", async () => {
    const theirs = join(folder, 'theirs')
    await mkdir(theirs)
    await chown(theirs, stranger, stranger)
    const inside = join(theirs, '.local/share/fleet')
    const wrong = { kind: 'failed', message: expect.stringContaining(`${stranger}`) }
    expect(() => checkHome(inside, {})).toThrow(expect.objectContaining(wrong))
    expect(() => checkHome(inside, { SUDO_UID: `${stranger}` })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('sudo -H') }),
    )
    expect(() => checkHome(theirs, { FLEET_HOME: theirs })).toThrow('another user')
    checkHome(inside, { FLEET_HOME: inside })
    await preparePrivateFolder(inside)
    checkHome(inside, {})
  })

  test('refuses a directory for sockets, and sockets in it', async () => {
    const place = join(folder, 'sockets')
    expect(await isSocketFolder(place)).toBe(false)
    await prepareSocketFolder(place)
    expect(await isSocketFolder(place)).toBe(true)
    const path = join(place, 'qmp.sock')
    const server = createServer((socket) => void socket.on('error', () => {})).listen(path)
    await once(server, 'listening')
    try {
      expect(await isListening(path)).toBe(true)
      const wrong = { kind: 'failed', hint: expect.stringContaining('FLEET_HOME') }
      const check = async () => {
        await expect(isSocketFolder(place)).rejects.toMatchObject(wrong)
        await expect(prepareSocketFolder(place)).rejects.toMatchObject(wrong)
        await expect(isListening(path)).rejects.toMatchObject(wrong)
        await expect(execute(path, 'quit', new AbortController().signal)).rejects.toMatchObject(
          wrong,
        )
      }
      await chmod(place, 0o755)
      await check()
      await chmod(place, 0o700)
      await chown(place, stranger, stranger)
      await check()
      const linked = join(folder, 'linked')
      await chown(place, 0, 0)
      await symlink(place, linked)
      await expect(isSocketFolder(linked)).rejects.toMatchObject(wrong)
    } finally {
      server.close()
    }
  })
})

test("the socket of a QEMU monitor is in the host's directory, or in a private directory if that path is too long", () => {
  expect(pathsIn('/home/ana/fleet/qemu', {}).socketOf('0123456789abcdef')).toBe(
    '/home/ana/fleet/qemu/hosts/0123456789abcdef/qmp.sock',
  )
  const long = pathsIn(`/${'long/'.repeat(20)}`, {})
  expect(long.socketOf('0123456789abcdef')).toMatch(
    /^\/tmp\/fleet-[0-9a-f]{12}\/0123456789abcdef\.sock$/,
  )
})

test('files written by QEMU programs are private, regardless of the umask', async () => {
  const before = process.umask(0)
  try {
    const file = join(folder, 'disk')
    const { signal } = new AbortController()
    await runProgram('touch', [file], { env: process.env, signal })
    expect((await lstat(file)).mode & 0o777).toBe(0o600)
    expect(process.umask()).toBe(0)
  } finally {
    process.umask(before)
  }
})
