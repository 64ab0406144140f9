import { cp, mkdir, readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cachedFolder } from '../files/cached-folder.ts'
import { unpackPackages } from '../files/unpack-packages.ts'
import { outside } from '../lab/outside.ts'
import { runProgram } from '../lab/process.ts'

/** The kernel of this computer's Debian release, with an initramfs that mounts this computer's root directory. */
export interface DebianKernel {
  /** The path of the kernel image. */
  readonly image: string
  readonly initramfs: string
  /** The directory to use as /lib/modules. */
  readonly modules: string
}

const recipe = {
  package: 'linux-image-amd64',
  /** The modules to keep; thousands of hardware drivers are removed. */
  kept: [
    ...['arch', 'crypto', 'fs', 'lib', 'net', 'drivers/virtio', 'drivers/net/vxlan'],
    ...['veth', 'virtio_net', 'net_failover', 'dummy'].map((name) => `drivers/net/${name}.ko`),
  ],
  /** The modules with which the initramfs mounts the root directory. */
  early: ['drivers/virtio', 'fs/9p', 'fs/fscache', 'fs/netfs', 'fs/overlayfs', 'net/9p'],
}

const initFile = join(import.meta.dirname, 'initramfs-init.sh')

/** Resolves to the package of the newest kernel, on which the metapackage depends. */
async function findPackage(): Promise<string> {
  await runProgram(outside('apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=300', 'update'))
  const depends = await runProgram(['apt-cache', 'depends', recipe.package])
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1]
  if (name === undefined) throw new Error(`${recipe.package} depends on no kernel`)
  return name
}

/** Copies modules, and generates the list of their dependencies (depmod). */
async function copyModules(
  { from, to, release }: { from: string; to: string; release: string },
  folders: readonly string[],
): Promise<void> {
  const [source, target] = [join(from, 'lib/modules', release), join(to, 'lib/modules', release)]
  for (const folder of folders) {
    const path = join('kernel', folder)
    await cp(join(source, path), join(target, path), { recursive: true })
  }
  await cp(join(source, 'modules.builtin'), join(target, 'modules.builtin'))
  await runProgram(['busybox', 'depmod', '-b', to, release])
}

async function build(folder: string): Promise<void> {
  await unpackPackages(folder, { ofThisRelease: [await findPackage()] })
  const from = join(folder, 'root')
  const release = (await readdir(join(from, 'lib/modules')))[0] ?? ''
  await cp(join(from, 'boot', `vmlinuz-${release}`), join(folder, 'vmlinuz'))
  await copyModules({ from, to: join(folder, 'kept'), release }, recipe.kept)
  const early = join(folder, 'early')
  await copyModules({ from, to: early, release }, recipe.early)
  await mkdir(join(early, 'bin'))
  await cp('/bin/busybox', join(early, 'bin/busybox'))
  await cp(initFile, join(early, 'init'))
  const pack = 'cd "$1" && chmod 755 init && find . | busybox cpio -o -H newc >../initramfs'
  await runProgram(['sh', '-c', pack, 'sh', early])
  for (const used of [from, early]) await rm(used, { recursive: true })
}

/** Locates the kernel, which is downloaded and prepared on first use. */
export async function debianKernel(): Promise<DebianKernel> {
  const whole = [recipe, await readFile(initFile, 'utf8')]
  const folder = await cachedFolder('debian-kernel', whole, build)
  return {
    image: join(folder, 'vmlinuz'),
    initramfs: join(folder, 'initramfs'),
    modules: join(folder, 'kept/lib/modules'),
  }
}
