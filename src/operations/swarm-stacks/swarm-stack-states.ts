import type { ContainerPort } from '../../engine/containers.ts'
import type { Context } from '../context.ts'
import { readServices, readTasks } from '../services/list-services.ts'
import type { OpenSwarm } from '../services/open-swarm.ts'
import type { StackContainerRow } from '../stacks/deployed/stack-containers.ts'
import type { StackOnMachine } from '../stacks/deployed/stack-states.ts'
import { readSwarmReleases } from './releases.ts'

/** Returns the state of a stack on a swarm. Its model is neither resolved nor compared. */
export async function stateOnSwarm(
  context: Context,
  swarm: OpenSwarm,
  stack: string,
): Promise<StackOnMachine> {
  const { signal } = context
  const services = await readServices(context, swarm, { stack })
  const { releases, machine } = await swarm.ask(async ({ engine, machine: { name } }) => ({
    releases: await readSwarmReleases(engine, stack, signal),
    machine: name,
  }))
  const sum = (key: 'RunningTasks' | 'DesiredTasks'): number =>
    services.reduce((total, { ServiceStatus }) => total + (ServiceStatus?.[key] ?? 0), 0)
  const [running, containers] = [sum('RunningTasks'), sum('DesiredTasks')]
  const [last, current] = [releases.at(-1), releases.find(({ isCurrent }) => isCurrent)]
  const state = ((): StackOnMachine['state'] => {
    if (last === undefined) return services.length === 0 ? 'not-deployed' : 'unmanaged'
    if (!last.isCurrent && last.state !== 'ready') return last.state
    return running < containers ? 'degraded' : 'deployed'
  })()
  return {
    ...{ stack, machine, swarm: swarm.name, state, selected: true },
    ...(current !== undefined && {
      ...{ release: current.number, by: current.by, at: current.at },
      ...(current.commit !== undefined && { commit: current.commit }),
    }),
    ...{ running, containers },
  }
}

const noPorts: readonly ContainerPort[] = []

/** Lists the tasks of a stack that should be running, as if they were containers. */
export async function stackTasks(
  context: Context,
  swarm: OpenSwarm,
  stack: string,
): Promise<readonly StackContainerRow[]> {
  const services = await readServices(context, swarm, { stack })
  const tasks = await readTasks(context, swarm, services)
  return tasks
    .filter(({ task }) => task.DesiredState === 'running' || task.DesiredState === 'ready')
    .map(({ task, service, name, machine = '' }) => {
      const { State, Err, ContainerStatus } = task.Status
      return {
        ...{ machine, stack, service: service.replace(`${stack}_`, ''), name },
        id: ContainerStatus?.ContainerID ?? '',
        image: (task.Spec.ContainerSpec?.Image ?? '').replace(/@sha256:.*/, ''),
        ...{ state: State, status: Err === '' ? State : `${State}: ${Err}`, ports: noPorts },
      }
    })
}

/** Returns the names of a stack's services on a swarm, including the stack's prefix. */
export const serviceNames = async (
  context: Context,
  swarm: OpenSwarm,
  stack: string,
): Promise<readonly string[]> =>
  (await readServices(context, swarm, { stack })).map(({ Spec }) => Spec.Name)
