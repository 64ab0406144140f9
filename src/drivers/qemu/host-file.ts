import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shortFolderFor } from '../../os/socket-folder.ts'
import { longestSocketPath } from '../../os/socket-path.ts'
import { below } from '../../os/below.ts'
import { ignored } from '../../os/trace.ts'

/** Processor architectures that hosts can have, in Docker's terms. */
export type Architecture = 'amd64' | 'arm64'

/** What runs a host's processor. */
export type Accelerator = 'hvf' | 'kvm' | 'tcg'

/** What a host is, as noted beside its disk: the record in the inventory may be lost. */
export interface HostFile {
  readonly id: string
  readonly token: string
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
  readonly user: string
  readonly arch: Architecture
  readonly accelerator: Accelerator
  readonly cpus: number
  /** MiB. */
  readonly memory: number
  /** On 127.0.0.1. */
  readonly port: number
  /** As the person said it; the first hosts have no note of it. */
  readonly image?: string
  /** Folders of this computer that it sees, `name=/absolute/path,…`. */
  readonly shares?: string | undefined
  /** The file in `bases` that its disk is laid over. */
  readonly base: string
}

/** The host's id: the same token is the same folder. */
export const idOf = (token: string): string =>
  createHash('sha256').update(token).digest('hex').slice(0, 16)

/** The files of hosts in the driver's folder. */
export function placesIn(folder: string) {
  const hosts = join(folder, 'hosts')
  const of = (id: string, name: string): string => below(below(hosts, id), name)
  return {
    hosts,
    bases: join(folder, 'bases'),
    /** What the locks of the folder as a whole stand beside. */
    lock: join(folder, 'hosts'),
    of,
    folderOf: (id: string): string => below(hosts, id),
    socketOf(id: string): string {
      const path = of(id, 'qmp.sock')
      if (Buffer.byteLength(path) <= longestSocketPath) return path
      return join(shortFolderFor(folder), `${id}.sock`)
    },
  }
}
export type Places = ReturnType<typeof placesIn>

/** What is noted of a host; nothing where there is none. */
export async function readHost(places: Places, id: string): Promise<HostFile | undefined> {
  const text = await readFile(places.of(id, 'host.json'), 'utf8').catch(
    ignored('qemu', 'read the record of the machine'),
  )
  return text === undefined ? undefined : (JSON.parse(text) as HostFile)
}

/** All hosts that this person has here. */
export async function readHosts(places: Places): Promise<HostFile[]> {
  const ids = await readdir(places.hosts).catch(ignored('qemu', 'list the machines', []))
  const found = await Promise.all(
    ids.filter((id) => /^[0-9a-f]{16}$/.test(id)).map((id) => readHost(places, id)),
  )
  return found.filter((host) => host !== undefined)
}

/** Makes the folder of a host, in one step: with its note in it, or not at all. */
export async function noteHost(places: Places, host: HostFile): Promise<void> {
  const draft = join(places.hosts, `.${host.id}.${randomUUID()}`)
  await mkdir(draft, { recursive: true, mode: 0o700 })
  try {
    await writeFile(join(draft, 'host.json'), JSON.stringify(host), { mode: 0o600 })
    await rename(draft, places.folderOf(host.id))
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Replaces the note of a host. To be called by whoever keeps others from starting it meanwhile. */
export async function rewriteHost(places: Places, host: HostFile): Promise<void> {
  const file = places.of(host.id, 'host.json')
  await writeFile(`${file}.tmp`, JSON.stringify(host), { mode: 0o600 })
  await rename(`${file}.tmp`, file)
}
