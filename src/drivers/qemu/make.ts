import { randomUUID } from 'node:crypto'
import {
  constants,
  copyFile,
  link,
  mkdir,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { childPath } from '../../os/child-path.ts'
import { UserError } from '../../errors.ts'
import { withLock } from '../../os/lock.ts'
import type { Call, HostFacts, BootstrapData, BootDisk } from '../driver.ts'
import { chooseLoopbackPort } from '../net/loopback-port.ts'
import { gibibyte } from './disk.ts'
import { type HostFile, type Paths, createHostFolder, readHost, readHosts } from './host-file.ts'
import { startMachine } from './power.ts'
import { runProgram } from './programs.ts'
import { ignored } from '../../os/trace.ts'

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )

/** Whether a host's files are complete: the image with its cloud-init data, `seed.iso`, is written last. */
export const isComplete = (paths: Paths, id: string): Promise<boolean> =>
  exists(paths.of(id, 'seed.iso'))

/** Adds a base disk to the driver's directory, as a hard link if possible, so that it uses no disk space. */
async function addBase(paths: Paths, name: string, disk: BootDisk): Promise<void> {
  const base = childPath(paths.bases, name)
  if (await exists(base)) return
  await mkdir(paths.bases, { recursive: true, mode: 0o700 })
  const draft = `${base}.${randomUUID()}.tmp`
  await link(disk.path, draft).catch(() => copyFile(disk.path, draft, constants.COPYFILE_FICLONE))
  await rename(draft, base)
}

/** Deletes base disks that no host uses. The caller must hold the directory's lock. */
export async function removeUnusedBases(paths: Paths): Promise<void> {
  const used = new Set((await readHosts(paths)).map(({ base }) => base))
  const names = await readdir(paths.bases).catch(ignored('qemu', 'list the base disks', []))
  for (const name of names) {
    if (!used.has(name)) await rm(childPath(paths.bases, name), { force: true })
  }
}

/** Creates a host's disk with the requested size, as an overlay of the base disk. */
async function createDisk(
  paths: Paths,
  host: HostFile,
  size: number,
  { disk, call }: { disk: BootDisk; call: Call },
): Promise<void> {
  const file = paths.of(host.id, 'disk.qcow2')
  const base = childPath(paths.bases, host.base)
  const running = { env: paths.env, signal: call.signal }
  const output = await runProgram(
    'qemu-img',
    ['info', '-f', disk.format, '--output=json', base],
    running,
  )
  const { 'virtual-size': minSize } = JSON.parse(output) as { 'virtual-size': number }
  if (minSize > size * gibibyte) {
    throw new UserError(
      'usage',
      `the image requires a disk of at least ${Math.ceil(minSize / gibibyte)} GiB`,
      {
        hint: `use --disk ${Math.ceil(minSize / gibibyte)}`,
      },
    )
  }
  const layer = ['-f', 'qcow2', '-F', disk.format, '-b', `../../bases/${host.base}`]
  const draft = `${file}.tmp`
  await rm(draft, { force: true })
  await runProgram('qemu-img', ['create', '-q', ...layer, draft, `${size}G`], running)
  await rename(draft, file)
}

/** A planned host, which might not have a port yet. */
export type HostDraft = Omit<HostFile, 'port' | 'base'> & { readonly port: number | undefined }

async function reserveHost(paths: Paths, draft: HostDraft, disk: BootDisk): Promise<HostFile> {
  await mkdir(paths.hosts, { recursive: true, mode: 0o700 })
  return withLock(paths.lock, async () => {
    const base = `${disk.digest.replace(/^.*:/, '').slice(0, 32)}.${disk.format}`
    const known = await readHost(paths, draft.id)
    const others = await readHosts(paths)
    const taken = new Set(others.map(({ port }) => port))
    const port = draft.port ?? (await chooseLoopbackPort(taken))
    const host = known ?? { ...draft, port, base }
    if (known === undefined && taken.has(port)) {
      throw new UserError('usage', `port ${port} is in use by another machine`, {
        hint: 'choose another --ssh-port, or omit --ssh-port to use a free port',
      })
    }
    if (known === undefined) await createHostFolder(paths, host)
    await addBase(paths, host.base, disk)
    return host
  })
}

/** Creates a host's missing files, and starts the host. */
export async function createHost(
  paths: Paths,
  draft: HostDraft,
  size: number,
  { data, call }: { data: BootstrapData; call: Call },
): Promise<HostFacts> {
  const { id } = draft
  call.signal.throwIfAborted()
  let host = await readHost(paths, id)
  if (!(await isComplete(paths, id))) {
    const { disk } = data
    if (disk === undefined)
      throw new TypeError('a boot disk is required to finish creating the host')
    call.progress('create the disk')
    host = await reserveHost(paths, draft, disk)
    await data.record({ id })
    call.signal.throwIfAborted()
    if (!(await exists(paths.of(id, 'disk.qcow2')))) {
      await createDisk(paths, host, size, { disk, call })
    }
    const written = paths.of(id, 'seed.iso.tmp')
    await writeFile(written, disk.noCloud, { mode: 0o600 })
    await rename(written, paths.of(id, 'seed.iso'))
  }
  if (host === undefined) throw new TypeError('a complete host must have a properties file')
  await data.record({ id })
  await startMachine(host, paths, call)
  return { id, address: '127.0.0.1', port: host.port, user: host.user }
}
