import { execFileSync } from 'node:child_process'
import {
  chmod,
  lstat,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseMachineName } from '../../../../src/machine/name.ts'
import { openFileInventory } from '../../../../src/state/inventory/file-inventory.ts'
import type { InventoryStore } from '../../../../src/state/inventory/inventory.ts'

const name = parseMachineName('a')
const text = 'version: 1\nid: 4f0c2f6e\nmachines: {}\n'
let folder = ''
let file = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-disk-'))
  file = join(folder, 'machines.yaml')
  await writeFile(file, text)
})
afterEach(() => rm(folder, { recursive: true }))

const store = (path = file): InventoryStore =>
  openFileInventory(path, {
    loadOptions: async () => ({ optionsOf: () => undefined }),
  })
const add = (path = file): Promise<void> => store(path).update(name, () => ({ driver: 'ssh' }))

describe('writing an inventory', () => {
  it.each([0o600, 0o640, 0o664])('keeps mode %o', async (mode) => {
    await chmod(file, mode)
    await add()
    expect((await stat(file)).mode & 0o7777).toBe(mode)
  })

  it('keeps a symbolic link, and changes the file that it points to', async () => {
    const link = join(folder, 'link.yaml')
    await symlink('machines.yaml', link)
    await add(link)
    expect((await lstat(link)).isSymbolicLink()).toBe(true)
    expect(await readlink(link)).toBe('machines.yaml')
    expect(await readFile(file, 'utf8')).toContain('driver: ssh')
  })

  it('does not touch the file when nothing changes', async () => {
    await add()
    const before = await stat(file)
    await store().update(name, (entry) => entry)
    await store().update(name, () => ({ driver: 'ssh', labels: undefined }))
    expect((await stat(file)).ino).toBe(before.ino)
  })

  it('leaves no temporary files behind', async () => {
    await add()
    await expect(
      store().update(name, () => ({ driver: 'ssh', labels: { 'a b': 'c' } })),
    ).rejects.toMatchObject({ kind: 'usage' })
    expect(await readdir(folder)).toEqual(['machines.yaml'])
  })
})

describe.skipIf(process.getuid?.() !== 0)('an inventory on a small disk (needs root)', () => {
  let small = ''
  beforeEach(async () => {
    small = join(folder, 'machines.yaml')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'fleet-test', folder])
  })
  afterEach(() => {
    execFileSync('umount', [folder])
  })

  // The disks range from one without free space to one on which most of the new text fits.
  it.each([0, 4, 16, 24])('is unchanged if a write fails with %i KiB free', async (room) => {
    const old = `${text}# ${'x'.repeat(28_000)}\n`
    await writeFile(small, old)
    const filler = await open(join(folder, 'filler'), 'w')
    const free = 64 - 28 - room
    await filler.writeFile(Buffer.alloc(free * 1024)).catch(() => undefined)
    await filler.close()
    await expect(add(small)).rejects.toMatchObject({
      name: 'UserError',
      kind: 'inventory',
      message: `cannot write ${small}: the disk is full`,
      hint: `free some space in ${folder}`,
    })
    expect(await readFile(small, 'utf8')).toBe(old)
    expect((await readdir(folder)).toSorted()).toEqual(['filler', 'machines.yaml'])
  })

  it('that is read-only can be read, and a write fails immediately with the reason', async () => {
    await writeFile(small, text)
    execFileSync('mount', ['-o', 'remount,ro', folder])
    expect((await store(small).read()).machines.size).toBe(0)
    await expect(add(small)).rejects.toMatchObject({
      kind: 'inventory',
      message: `cannot write ${small}: the file system is read-only`,
    })
  }, 3000)
})
