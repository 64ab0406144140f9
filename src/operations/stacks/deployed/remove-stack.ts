import { listContainers } from '../../../engine/containers.ts'
import type { ContainerSummary } from '../../../engine/containers.ts'
import { nothing } from '../../../engine/answer.ts'
import type { Engine } from '../../../engine/engine.ts'
import { listNetworks, removeNetwork } from '../../../engine/networks.ts'
import { listVolumes, removeVolume } from '../../../engine/volumes.ts'
import { UserError } from '../../../errors.ts'
import { run } from '../../../transport/run.ts'
import { type HostMirror, restoreFiles } from '../../compose/host-mirror.ts'
import { reasonOf } from '../../copy/remote-tar.ts'
import { type LockOwner, lockStack } from '../host-store/lock.ts'
import { readReleases } from '../host-store/releases.ts'
import { isIdle } from '../idle-container.ts'
import { filtersOf } from '../observe-stack.ts'
import { dropImages, holdImages } from '../release-images.ts'
import type { DeployCalls } from '../run-release.ts'

/** The removal of a stack from one machine. */
export interface StackRemoval {
  readonly stack: string
  readonly machine: string
  readonly engine: Engine
  /** The stack's directory on the host. */
  readonly mirror: HostMirror
  readonly owner: LockOwner
  /** Whether the user has confirmed the deletion of the stack's volumes and of files that containers wrote. */
  readonly withVolumes: boolean
}

/** The result of removing a stack from one machine. */
export interface RemovedStack {
  readonly stack: string
  readonly machine: string
  readonly containers: number
  /** The removed services; absent unless the stack was on a swarm. */
  readonly services?: readonly string[]
  readonly networks: readonly string[]
  readonly volumes: readonly string[]
  /** Volumes that were not removed. */
  readonly keptVolumes: readonly string[]
  /** The directory on the host with files that containers wrote; absent if there are none. */
  readonly keptFiles?: string
}

/** Matches the name of an anonymous volume, which has no stack label. */
const anonymousName = /^[0-9a-f]{64}$/

/** The items that {@link removeStack} removes from an engine. */
interface StackItems {
  /** All containers with the project's label, including those that Compose did not create. */
  readonly containers: readonly ContainerSummary[]
  /** The names of the stack's volumes, and of the anonymous volumes of its containers. */
  readonly volumes: readonly string[]
}

/** Lists the containers and volumes of a stack on an engine. */
export async function listStackItems(
  engine: Engine,
  stack: string,
  signal: AbortSignal,
): Promise<StackItems> {
  const filters = filtersOf(stack)
  const [volumes, containers] = await Promise.all([
    listVolumes(engine, { filters, signal }),
    listContainers(engine, { all: true, filters, signal }),
  ])
  const mounted = containers.flatMap(({ Mounts }) => Mounts.map(({ Name = '' }) => Name))
  const anonymous = mounted.filter((name) => anonymousName.test(name))
  return { containers, volumes: [...new Set([...volumes.map(({ Name }) => Name), ...anonymous])] }
}

const serviceOf = ({ Labels }: ContainerSummary): string =>
  Labels['com.docker.compose.service'] ?? ''

/** The services that a container depends on. */
const dependenciesOf = ({ Labels }: ContainerSummary): readonly string[] =>
  (Labels['com.docker.compose.depends_on'] ?? '').split(',').map((text) => text.split(':')[0] ?? '')

/**
 * Groups containers so that each is removed before the services that it depends on. One group is removed after another.
 */
function inRemovalOrder(
  containers: readonly ContainerSummary[],
): readonly (readonly ContainerSummary[])[] {
  const groups: ContainerSummary[][] = []
  let left = [...containers]
  while (left.length > 0) {
    const needed = new Set(
      left.flatMap((one) => dependenciesOf(one).filter((name) => name !== serviceOf(one))),
    )
    const free = left.filter((one) => !needed.has(serviceOf(one)))
    const group = free.length > 0 ? free : left // if none is free, the labels contain a cycle
    groups.push(group)
    left = left.filter((one) => !group.includes(one))
  }
  return groups
}

/** How long a container may take to stop, in milliseconds. The container's own time limit is usually 10 seconds. */
const stopTimeoutMs = 600_000

async function removeContainers(
  { engine, withVolumes }: StackRemoval,
  containers: readonly ContainerSummary[],
  signal: AbortSignal,
): Promise<void> {
  for (const group of inRemovalOrder(containers)) {
    await Promise.all(
      group.map(async ({ Id, State }) => {
        const path = `/containers/${Id}`
        if (State === 'running' || State === 'paused' || State === 'restarting') {
          const request = {
            method: 'POST',
            path: `${path}/stop`,
            idleTimeoutMs: stopTimeoutMs,
          } as const
          await engine.json({ ...request, signal }, nothing)
        }
        const query = { force: true, v: withVolumes } // v: also anonymous volumes, except those of earlier containers
        await engine.json({ method: 'DELETE', path, query, signal }, nothing)
      }),
    )
  }
}

/** Removes the records of a stack and its empty directories. Prints `kept` if any files are left. */
const removeRecords = `
cd -- "$1" 2>/dev/null || exit 0
rm -rf -- releases objects build shipped paths pending .incoming-* up.lock
[ ! -d root ] || find root -depth -type d -empty -delete 2>/dev/null
[ -d root ] && echo kept
rm -f -- lock.json lock
cd .. && rmdir -- "$1" 2>/dev/null
exit 0
`

const removeAll = `rm -rf -- "$1"`

async function runScript({ host, folder }: HostMirror, script: string): Promise<string> {
  const { name: machine, transport, become = [] } = host
  const { code, stdout, stderr } = await run(transport, [
    ...become,
    ...['sh', '-c', script, 'fleet', folder],
  ])
  if (code === 0) return stdout.trim()
  throw new UserError('failed', `cannot remove ${folder} on ${machine}: ${reasonOf(stderr)}`, {
    machine,
    hint: `remove the directory on the host: fleet ssh ${machine}`,
  })
}

/** Removes the copied files that have not been changed on the host. */
const removeShipped = (mirror: HostMirror): Promise<void> =>
  restoreFiles(mirror, new Map(), async () => {})

/**
 * Removes a stack from one machine: its containers, networks and releases. Requires neither the stack's Compose file
 * nor Compose itself. Volumes, and files that containers wrote, are kept unless `withVolumes` is set. The removal can
 * be interrupted at any point and repeated. Throws kind `locked` while another user changes the stack.
 */
export async function removeStack(
  removal: StackRemoval,
  { progress, signal }: DeployCalls,
): Promise<RemovedStack> {
  const { stack, machine, engine, mirror, owner, withVolumes } = removal
  const { host, folder } = mirror
  progress('lock the stack')
  await using lock = await lockStack(host, { stack, folder, owner, signal })
  const stop = lock.signal
  const found = await listStackItems(engine, stack, stop)
  progress('remove containers')
  await removeContainers(removal, found.containers, stop)
  progress('remove networks')
  const listed = await listNetworks(engine, { filters: filtersOf(stack), signal: stop })
  const networks = listed.map(({ Name }) => Name)
  for (const name of networks) await removeNetwork(engine, name, { signal: stop })
  const volumes = withVolumes ? found.volumes : []
  if (withVolumes) progress('remove volumes')
  for (const name of volumes) await removeVolume(engine, name, { force: true, signal: stop })
  progress('remove releases')
  const releases = await readReleases(host, folder)
  await holdImages(engine, stack, [])
  for (const release of releases.all) await dropImages(engine, stack, release)
  stop.throwIfAborted()
  if (!withVolumes) await removeShipped(mirror)
  const output = await runScript(mirror, withVolumes ? removeAll : removeRecords)
  const isKept = !withVolumes && output === 'kept'
  return {
    ...{ stack, machine, networks, volumes },
    containers: found.containers.filter((one) => !isIdle(one)).length,
    keptVolumes: withVolumes ? [] : found.volumes,
    ...(isKept && { keptFiles: mirror.root }),
  }
}
