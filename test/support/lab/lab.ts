import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { newerEngine } from '../docker/newer-engine.ts'
import { importBaseImage, makeBaseRoot } from './base-image.ts'
import { removeControlGroups } from './control-groups.ts'
import { type LabHost, startHost } from './host.ts'
import { type Switch, addSwitch, removeSwitch } from './network.ts'
import { type Registry, startRegistry } from './registry.ts'
import { type Identity, makeKey } from './ssh-key.ts'

export { type Account, accounts, password } from './accounts.ts'
export type { LabHost } from './host.ts'

/**
 * Whether this process can start a lab: it runs in the namespaces of `enter.mjs`, which `npm test` and
 * `scripts/run-ts.mjs --lab` create. Nothing in these namespaces has access to this computer's network, except through
 * the namespace `FLEET_LAB_OUTSIDE`: `nsenter --net=$FLEET_LAB_OUTSIDE COMMAND`.
 */
export const labIsHere = process.env['FLEET_LAB_OUTSIDE'] !== undefined

/** Options of a lab. */
export interface LabOptions {
  readonly hosts: number
  /** Starts a Docker engine on each host. */
  readonly engine?: boolean
  /** The names of hosts, such as `h2`, whose engine is newer than this computer's. Requires `engine`. */
  readonly newerEngines?: readonly string[]
  /** Starts a registry that the hosts' engines can use. */
  readonly registry?: boolean
  /** Imports the image `bb:1`, a shell and its tools, on each host. Requires `engine`. */
  readonly image?: boolean
  /** Lines of sshd_config(5) for every host. */
  readonly sshdOptions?: Readonly<Record<string, string>>
}

/** Hosts on one switch. Disposal removes everything, and so does the end of the process in `enter.mjs`. */
export interface Lab extends AsyncDisposable {
  readonly hosts: readonly LabHost[]
  /** The login key of every account on all hosts. */
  readonly identity: Identity
  /** Name of the registry, such as `10.77.0.1:5000`, if requested. */
  readonly registry?: string
  readonly network: Switch
  /** Starts another host like the existing ones. */
  add(): Promise<LabHost>
}

interface Parts {
  readonly folder: string
  readonly network: Switch
  readonly controlGroup: string
  readonly hosts: LabHost[]
  registry?: Registry
}

const dockerdOptions = ({ network, controlGroup }: Parts, name: string) => [
  '--host=unix:///var/run/docker.sock',
  '--pidfile=/run/docker.pid',
  `--cgroup-parent=/${controlGroup}/${name}`,
  '--exec-opt=native.cgroupdriver=cgroupfs',
  `--insecure-registry=${network.prefix}.0/24`,
]

async function dispose({ folder, network, controlGroup, hosts, registry }: Parts): Promise<void> {
  await Promise.all([registry?.[Symbol.asyncDispose](), ...hosts.map((host) => host.kill())])
  await removeSwitch(network)
  removeControlGroups(controlGroup)
  await rm(folder, { recursive: true, force: true })
}

/** Returns a function that starts the host with a given number. */
function hostStarter(parts: Parts, options: LabOptions, identity: Identity) {
  const { folder, network } = parts
  const root = join(folder, 'base-image')
  const rootReady = options.image ? makeBaseRoot(root) : undefined
  return async (number: number) => {
    const name = `h${number}`
    const host = await startHost({
      name,
      network,
      address: `${network.prefix}.${10 + number}`,
      folder: join(folder, name),
      publicKey: identity.publicKey,
      sshdOptions: options.sshdOptions ?? {},
      engine: options.engine ? dockerdOptions(parts, name) : [],
      ...(options.newerEngines?.includes(name) && { programs: await newerEngine() }),
    })
    parts.hosts[number - 1] = host
    await rootReady
    if (options.image) await importBaseImage(host.engineSocket, root)
    return host
  }
}

/** Starts all hosts concurrently, and waits until every one answers. At most 240 hosts. */
export async function startLab(options: LabOptions): Promise<Lab> {
  if (!labIsHere)
    throw new Error('no lab here: run this through `npm test` or scripts/run-ts.mjs --lab')
  const folder = await mkdtemp(join(tmpdir(), 'lab-'))
  const controlGroup = `${basename(tmpdir())}/${basename(folder)}`
  const parts: Parts = { folder, network: await addSwitch(), controlGroup, hosts: [] }
  try {
    const identity = await makeKey(join(folder, 'id'), 'lab')
    await mkdir(join(folder, 'registry'))
    if (options.registry) parts.registry = await startRegistry(folder, parts.network.address)
    const startOne = hostStarter(parts, options, identity)
    const starts = Array.from({ length: options.hosts }, (_, index) => startOne(index + 1))
    const failed = (await Promise.allSettled(starts)).find((start) => start.status === 'rejected')
    if (failed) throw failed.reason
    let count = options.hosts
    return {
      hosts: parts.hosts,
      identity,
      network: parts.network,
      add: () => startOne(++count),
      ...(parts.registry && { registry: parts.registry.name }),
      [Symbol.asyncDispose]: () => dispose(parts),
    }
  } catch (error) {
    await dispose(parts)
    throw error
  }
}
