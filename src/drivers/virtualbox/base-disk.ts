import { copyFile, link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { UserError } from '../../errors.ts'
import { withLock } from '../../os/lock.ts'
import type { Call, BootDisk } from '../driver.ts'
import { parseMedia } from './parse-output.ts'
import { findVm } from './machine.ts'
import type { Base, Env } from './paths.ts'
import { unpackQcow2 } from './qcow2.ts'
import { type VBoxManage, ignoreMissing } from './vboxmanage.ts'
import { ignored } from '../../os/trace.ts'

/** One GiB in bytes. */
const gibibyte = 2 ** 30

/** How long to wait while another process converts an image, in milliseconds. */
const conversionTimeout = 30 * 60_000

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/**
 * Enlarges a disk to `size` GiB. Must be called before the disk is cloned, because VirtualBox does not resize clones
 * correctly.
 */
export async function growDisk(
  vbox: VBoxManage,
  disk: string,
  size: number,
  call: Call,
): Promise<void> {
  const info = await vbox.run(['showmediuminfo', 'disk', disk], call)
  const capacity = Number(/^Capacity: +(\d+)/m.exec(info)?.[1] ?? 0)
  if (capacity < 1024 * size) {
    await vbox.run(['modifymedium', 'disk', disk, '--resize', String(1024 * size)], call)
  }
}

/** Timeout for the removal of drafts, in milliseconds. The removal also runs after an abort. */
const cleanupTimeout = 3000

const isBelow = (path: string, folder: string): boolean => path.startsWith(join(folder, sep))

/** Deletes the disks in `folder`, and removes them from VirtualBox, clones before their parents. */
async function closeDisks(
  vbox: VBoxManage,
  folder: string,
  call: Pick<Call, 'signal'>,
): Promise<void> {
  const media = parseMedia(await vbox.run(['list', 'hdds'], call))
  const parents = new Set(media.map(({ parent }) => parent))
  const idle = media.filter(({ id, path }) => !parents.has(id) && isBelow(path, folder))
  for (const { id } of idle) {
    await ignoreMissing(vbox.run(['closemedium', 'disk', id, '--delete'], call))
  }
  const isDeeper = media.filter(({ path }) => isBelow(path, folder)).length > idle.length
  if (isDeeper && idle.length > 0) await closeDisks(vbox, folder, call)
}

/** Removes the files of an interrupted conversion. */
async function removeDrafts({ vbox, paths }: Env, call: Pick<Call, 'signal'>): Promise<void> {
  if (!(await exists(paths.drafts))) return
  await closeDisks(vbox, paths.drafts, call)
  await rm(paths.drafts, { recursive: true, force: true })
}

/** Writes an image's disk as a VDI. */
async function writeVdi(
  { vbox, paths }: Env,
  { path, format }: BootDisk,
  to: string,
  call: Call,
): Promise<void> {
  const step = join(paths.drafts, `image.${format === 'qcow2' ? 'raw' : format}`)
  if (format === 'qcow2') await unpackQcow2(path, step, call.signal)
  // VirtualBox registers the disks that it reads. Disks in the drafts directory are removed after a
  // crash.
  else await link(path, step).catch(() => copyFile(path, step))
  const words = step.endsWith('.raw') ? ['convertfromraw'] : ['clonemedium', 'disk']
  await vbox.run([...words, step, to, '--format', 'VDI'], call)
}

/** Creates the base disk for clones. The disk is moved to its final path when it is complete. */
async function convert(
  env: Env,
  image: BootDisk,
  { base, size }: { readonly base: string; readonly size: number },
  call: Call,
): Promise<void> {
  const { vbox, paths } = env
  await removeDrafts(env, call)
  await mkdir(paths.drafts, { recursive: true, mode: 0o700 })
  const draft = join(paths.drafts, 'disk.vdi')
  try {
    await writeVdi(env, image, draft, call)
    await growDisk(vbox, draft, size, call)
    await ignoreMissing(vbox.run(['closemedium', 'disk', draft], call))
    await rename(draft, base)
  } finally {
    const anyway = { signal: AbortSignal.timeout(cleanupTimeout) }
    await removeDrafts(env, anyway).catch(
      ignored('virtualbox', 'remove files left by interrupted runs'),
    ) // the next run removes them
  }
}

/**
 * Registers a machine that is never started and owns the base disk. VirtualBox assigns a disk to the first machine that
 * uses it, and would delete the disk and all its clones together with that machine. Only a disk with a snapshot can be
 * cloned.
 */
async function registerOwner(vbox: VBoxManage, { disk, owner }: Base, call: Call): Promise<void> {
  const known = await findVm(vbox, owner, call)
  if (known?.fields.get('SnapshotName') === 'base') return
  if (known !== undefined) await vbox.run(['unregistervm', owner], call)
  const [name, folder] = [`fleet-base-${owner}`, dirname(disk)]
  await rm(join(folder, name), { recursive: true, force: true })
  const words = ['--name', name, '--uuid', owner, '--basefolder', folder, '--register']
  await vbox.run(['createvm', ...words], call)
  await vbox.run(['storagectl', owner, '--name', 'Base', '--add', 'sata'], call)
  const place = ['--storagectl', 'Base', '--port', '0', '--device', '0']
  await vbox.run(['storageattach', owner, ...place, '--type', 'hdd', '--medium', disk], call)
  await vbox.run(['snapshot', owner, 'take', 'base'], call)
}

/** Creates a machine's disk with `size` GiB: a clone that stores only the differences from the image. */
export async function cloneDisk(
  { vbox, paths }: Env,
  image: BootDisk,
  { to, size }: { readonly to: string; readonly size: number },
  call: Call,
): Promise<void> {
  const minSize = Math.ceil((image.size ?? 0) / gibibyte)
  if (minSize > size) {
    throw new UserError('usage', `the image requires a disk of at least ${minSize} GiB`, {
      hint: `use --disk ${minSize}`,
    })
  }
  const base = paths.baseOf(image.digest, size)
  await mkdir(paths.bases, { recursive: true, mode: 0o700 })
  const work = async (): Promise<void> => {
    if (!(await exists(base.disk))) {
      call.progress('convert the image')
      await convert({ vbox, paths }, image, { base: base.disk, size }, call)
    }
    call.progress('create the disk')
    await registerOwner(vbox, base, call)
    const clone = ['--diffparent', base.disk, '--format', 'VDI', '--variant', 'Standard']
    await vbox.run(['createmedium', 'disk', '--filename', to, ...clone], call)
  }
  await withLock(paths.bases, work, conversionTimeout)
}

/** Deletes base disks without clones. */
async function removeBases({ vbox, paths }: Env, call: Call): Promise<void> {
  const media = parseMedia(await vbox.run(['list', 'hdds'], call))
  const clones = media.filter(({ path }) => !isBelow(path, paths.bases))
  const parents = new Set(clones.map(({ parent }) => parent))
  const needed = new Set(media.filter(({ id }) => parents.has(id)).map(({ path }) => path))
  for (const file of await readdir(paths.bases)) {
    const disk = join(paths.bases, file)
    const holder = file.replace(/\.vdi$/, '')
    if (holder === file || needed.has(disk)) continue
    await ignoreMissing(vbox.run(['unregistervm', holder], call))
    await ignoreMissing(vbox.run(['closemedium', 'disk', disk], call))
    await rm(join(paths.bases, `fleet-base-${holder}`), { recursive: true, force: true })
    await rm(disk, { force: true })
  }
}

/**
 * Deletes the disks in `folder` from VirtualBox and this computer, and also their base disks if those have no other
 * clones.
 */
export async function removeDisks(env: Env, folder: string, call: Call): Promise<void> {
  const { vbox, paths } = env
  await mkdir(paths.bases, { recursive: true, mode: 0o700 })
  const work = async (): Promise<void> => {
    await closeDisks(vbox, folder, call)
    await removeDrafts(env, call)
    await removeBases(env, call)
  }
  await withLock(paths.bases, work, conversionTimeout)
}
