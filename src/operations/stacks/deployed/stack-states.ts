import { type ContainerSummary, listContainers } from '../../../engine/containers.ts'
import { type Machine, hasHost } from '../../../machine/machine.ts'
import { type Stack, machinesOf } from '../../../machine/stacks.ts'
import type { Context } from '../../context.ts'
import { readAllReleases } from '../host-store/all-stacks.ts'
import type { Release, Releases } from '../host-store/releases.ts'
import { findStackHost } from '../host-store/store-folder.ts'
import { type StackContainer, readStackContainer } from '../observe-stack.ts'
import { projectLabel } from '../stack-model.ts'
import { isUnfinishedMark } from '../unfinished-mark.ts'

/** A stack on one machine. */
export interface StackOnMachine {
  readonly stack: string
  /** For a stack on a swarm: the manager that responded. */
  readonly machine: string
  /** The swarm of the stack; absent for a stack on a machine. */
  readonly swarm?: string
  /**
   * `deployed`: all containers of the current release are running and healthy. `degraded`: some are not running or not
   * healthy. `failed`: the last deployment failed. `deploying`: a deployment has not finished, or was interrupted.
   * `unmanaged`: the stack has containers that fleet did not deploy. `not-deployed`: the stack has no containers and no
   * release.
   */
  readonly state: 'deployed' | 'degraded' | 'failed' | 'deploying' | 'unmanaged' | 'not-deployed'
  /** Whether the inventory deploys the stack on this machine. */
  readonly selected: boolean
  /** The number of the current release. */
  readonly release?: number
  /** The user who deployed the current release, the time of the deployment (ISO 8601), and the git commit. */
  readonly by?: string
  readonly at?: string
  readonly commit?: string
  readonly running: number
  readonly containers: number
  /** Why the last deployment failed. */
  readonly reason?: string
}

/**
 * Returns the services that other services wait for until they have completed (`service_completed_successfully`),
 * according to Compose's label.
 */
function oneShots(containers: readonly StackContainer[]): ReadonlySet<string> {
  const names = containers.flatMap(({ labels }) =>
    (labels['com.docker.compose.depends_on'] ?? '').split(',').flatMap((text) => {
      const [name = '', condition] = text.split(':')
      return condition === 'service_completed_successfully' ? [name] : []
    }),
  )
  return new Set(names)
}

const isDone = (done: ReadonlySet<string>, { state, exitCode, service }: StackContainer): boolean =>
  state === 'running' || (exitCode === 0 && done.has(service))

/** Returns the state of a stack on a machine. Its model is neither resolved nor compared. */
function stateOf(
  releases: Releases | undefined,
  containers: readonly StackContainer[],
  isUnfinished: boolean,
): StackOnMachine['state'] {
  const last = releases?.all.at(-1)
  if (last === undefined) return containers.length === 0 ? 'not-deployed' : 'unmanaged'
  if (last.state !== 'failed' && isUnfinished) return 'deploying'
  if (last.number !== releases?.current && last.state !== 'ready') return last.state
  const done = oneShots(containers)
  const isFine = containers.every(
    (container) => isDone(done, container) && container.health !== 'unhealthy',
  )
  return containers.length > 0 && isFine ? 'deployed' : 'degraded'
}

const factsOf = ({ number, by, at, commit }: Release) => ({
  release: number,
  ...(by !== '' && { by }),
  ...(at !== '' && { at }),
  ...(commit !== undefined && { commit }),
})

function describe(
  { stack, machine, selected }: Pick<StackOnMachine, 'stack' | 'machine' | 'selected'>,
  releases: Releases | undefined,
  listed: readonly ContainerSummary[],
): StackOnMachine {
  const current = releases?.all.find(({ number }) => number === releases.current)
  const containers = listed.flatMap((container) => readStackContainer(container) ?? [])
  const state = stateOf(releases, containers, listed.some(isUnfinishedMark))
  const reason = state === 'failed' ? releases?.all.at(-1)?.reason : undefined
  return {
    ...{ stack, machine, state, selected },
    ...(current !== undefined && factsOf(current)),
    running: containers.filter((container) => container.state === 'running').length,
    containers: containers.length,
    ...(reason !== undefined && { reason }),
  }
}

/**
 * Lists the stacks on one machine: first those of the inventory, in its order, and then any others whose releases are
 * on the host. Requests one list of containers from the engine, and the releases from the host. A machine without a
 * host is not contacted.
 */
export async function stacksOnMachine(
  context: Context,
  stacks: Iterable<Stack>,
  machine: Machine,
  signal: AbortSignal,
): Promise<readonly StackOnMachine[]> {
  const known = [...stacks]
  const isSelected = (stack: Stack): boolean => machinesOf(stack, [machine]).length > 0
  const { name } = machine
  if (!hasHost(machine)) {
    return known
      .filter(isSelected)
      .map((stack) => describe({ stack: stack.name, machine: name, selected: true }, undefined, []))
  }
  const readStore = async (): Promise<ReadonlyMap<string, Releases>> => {
    const { id } = await (await context.inventory()).read()
    const host = await findStackHost(context.with({ signal }), machine)
    return readAllReleases(host, `${host.stacks}/${id}`)
  }
  const readContainers = async () => {
    const engine = await context.engine(machine)
    return listContainers(engine, { all: true, filters: { label: [projectLabel] }, signal })
  }
  const [stores, listed] = await Promise.all([readStore(), readContainers()])
  const listedOf = (stack: string): readonly ContainerSummary[] =>
    listed.filter(({ Labels }) => Labels[projectLabel] === stack)
  const entries = known
    .map((stack) => ({ stack: stack.name, selected: isSelected(stack) }))
    .filter(({ stack, selected }) => selected || stores.has(stack) || listedOf(stack).length > 0)
  const others = [...stores.keys()]
    .filter((stack) => !known.some((one) => one.name === stack))
    .map((stack) => ({ stack, selected: false }))
  return [...entries, ...others].map(({ stack, selected }) =>
    describe({ stack, machine: name, selected }, stores.get(stack), listedOf(stack)),
  )
}
