import { open, readdir, readFile, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { bootstrapDebian } from '../booted-host/bootstrap.ts'
import { findSources } from '../booted-host/root-folder.ts'
import { ensurePackages } from '../booted-host/tools.ts'
import { cachedFolder } from '../files/cached-folder.ts'
import { runProgram } from '../lab/process.ts'
import { customizeRoot, initramfsHook, recipe } from './root-files.ts'

/** Packages of the programs that build and run images. */
const tools = [
  'e2fsprogs',
  'fdisk',
  'grub-common',
  'grub-pc-bin',
  'mmdebstrap',
  'qemu-system-x86',
  'qemu-utils',
]

const mebibyte = 2 ** 20
/** The offset of the only partition, in bytes. GRUB is installed before it. */
const partitionStart = mebibyte

const grubModules =
  'biosdisk part_msdos ext2 normal linux search search_label serial terminal configfile'.split(' ')

/** Writes bytes into an existing file, at an offset in bytes. */
async function writeAt(file: string, bytes: Buffer, position: number): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    await handle.write(bytes, 0, bytes.length, position)
  } finally {
    await handle.close()
  }
}

/** Creates a bootable disk image of `size` bytes, without mounting a file system. */
async function makeDisk(folder: string, root: string, size: number): Promise<void> {
  const raw = join(folder, 'disk.raw')
  await (await open(raw, 'w')).close()
  await truncate(raw, size)
  await runProgram(['sfdisk', '-q', raw], 'label: dos\nstart=2048, type=83, bootable\n')
  const layout = `offset=${partitionStart},lazy_itable_init=1,lazy_journal_init=1`
  const blocks = `${(size - partitionStart) / 1024}k`
  const ext4 = ['-q', '-F', '-L', 'root', '-O', '^metadata_csum_seed,^orphan_file']
  await runProgram(['mkfs.ext4', ...ext4, '-d', root, '-E', layout, raw, blocks])
  const core = join(folder, 'core.img')
  const prefix = '(hd0,msdos1)/boot/grub'
  await runProgram(['grub-mkimage', '-O', 'i386-pc', '-o', core, '-p', prefix, ...grubModules])
  const boot = await readFile('/usr/lib/grub/i386-pc/boot.img')
  await writeAt(raw, boot.subarray(0, 440), 0) // up to the partition table
  await writeAt(raw, await readFile(core), 512)
  await runProgram(['qemu-img', 'convert', '-O', 'qcow2', raw, join(folder, 'draft.qcow2')])
  await rename(join(folder, 'draft.qcow2'), join(folder, 'debian.qcow2'))
  for (const file of [raw, core]) await rm(file)
}

async function build(folder: string, suite: string, sources: string): Promise<void> {
  const root = join(folder, 'root')
  const more = [`--essential-hook=${initramfsHook}`]
  await bootstrapDebian({ root, packages: recipe.packages, suite, sources, more })
  const kernel = (await readdir(join(root, 'boot'))).find((name) => name.startsWith('vmlinuz-'))
  await customizeRoot(root, kernel?.replace('vmlinuz-', '') ?? '')
  await makeDisk(folder, root, 6 * 1024 * mebibyte)
  await rm(root, { recursive: true })
}

/** The timeout for building the image if it does not exist yet, in milliseconds. */
export const debianBuildTime = 30 * 60_000

/**
 * Resolves to the path of a disk image like those that distributions publish, but with a Docker engine: Debian with its
 * kernel, GRUB and cloud-init, and without keys and users; qcow2, 6 GiB. It is built in two minutes on first use, and
 * again when its definition has changed.
 */
export async function debianImage(): Promise<string> {
  await ensurePackages(...tools)
  const { suite, file } = findSources()
  const whole = [recipe, initramfsHook, suite, await readFile(file, 'utf8')]
  const folder = await cachedFolder('debian-guest', whole, (folder) => build(folder, suite, file))
  return join(folder, 'debian.qcow2')
}
