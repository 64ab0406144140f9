import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shortFolderFor, longestSocketPath } from '../../os/socket-folder.ts'
import { childPath } from '../../os/child-path.ts'
import { replaceFile } from '../../os/replace-file.ts'
import type { Environment } from '../../os/environment.ts'
import { ignored } from '../../os/trace.ts'

/** Processor architectures of hosts, in Docker's terms. */
export type Architecture = 'amd64' | 'arm64'

/** QEMU accelerators. */
export type Accelerator = 'hvf' | 'kvm' | 'tcg'

/** Properties of a host, stored next to its disk because the record in the inventory can get lost. */
export interface HostFile {
  readonly id: string
  readonly token: string
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
  readonly user: string
  readonly arch: Architecture
  readonly accelerator: Accelerator
  readonly cpus: number
  /** Memory size in MiB. */
  readonly memory: number
  /** Port on 127.0.0.1 that is forwarded to the machine's SSH server. */
  readonly port: number
  /** The value of the option `image`; missing for hosts that early versions of fleet created. */
  readonly image?: string
  /** Shared directories, `name=/absolute/path,…`. */
  readonly shares?: string | undefined
  /** File name of the host's base disk in `bases`. */
  readonly base: string
}

/** Returns a host's ID, which is derived from its token, so a token always has the same directory. */
export const idOf = (token: string): string =>
  createHash('sha256').update(token).digest('hex').slice(0, 16)

/** Returns the paths in the driver's directory, and the environment variables of the programs that the driver runs. */
export function pathsIn(folder: string, env: Environment) {
  const hosts = join(folder, 'hosts')
  const of = (id: string, name: string): string => childPath(childPath(hosts, id), name)
  return {
    env,
    hosts,
    bases: join(folder, 'bases'),
    /** The path to lock for changes to the whole directory. */
    lock: join(folder, 'hosts'),
    of,
    folderOf: (id: string): string => childPath(hosts, id),
    socketOf(id: string): string {
      const path = of(id, 'qmp.sock')
      if (Buffer.byteLength(path) <= longestSocketPath) return path
      return join(shortFolderFor(folder), `${id}.sock`)
    },
  }
}
export type Paths = ReturnType<typeof pathsIn>

/** Reads the properties of a host, if it exists. */
export async function readHost(paths: Paths, id: string): Promise<HostFile | undefined> {
  const text = await readFile(paths.of(id, 'host.json'), 'utf8').catch(
    ignored('qemu', "read the machine's properties"),
  )
  return text === undefined ? undefined : (JSON.parse(text) as HostFile)
}

/** Reads the properties of all hosts of this user on this computer. */
export async function readHosts(paths: Paths): Promise<HostFile[]> {
  const ids = await readdir(paths.hosts).catch(ignored('qemu', 'list the machines', []))
  const found = await Promise.all(
    ids.filter((id) => /^[0-9a-f]{16}$/.test(id)).map((id) => readHost(paths, id)),
  )
  return found.filter((host) => host !== undefined)
}

/** Creates a host's directory and the file with its properties, atomically. */
export async function createHostFolder(paths: Paths, host: HostFile): Promise<void> {
  const draft = join(paths.hosts, `.${host.id}.${randomUUID()}`)
  await mkdir(draft, { recursive: true, mode: 0o700 })
  try {
    await writeFile(join(draft, 'host.json'), JSON.stringify(host), { mode: 0o600 })
    await rename(draft, paths.folderOf(host.id))
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Replaces the properties of a host. The caller must hold the host's lock. */
export async function replaceHost(paths: Paths, host: HostFile): Promise<void> {
  await replaceFile(paths.of(host.id, 'host.json'), JSON.stringify(host), { mode: 0o600 })
}
