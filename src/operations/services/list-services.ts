import {
  type Service,
  type ServiceSpec,
  listServices,
  stackLabel,
} from '../../engine/swarm/services.ts'
import { listTasks } from '../../engine/swarm/tasks.ts'
import { UserError } from '../../errors.ts'
import { suggest } from '../../machine/nearest-name.ts'
import type { Context } from '../context.ts'
import type { OpenSwarm } from './open-swarm.ts'
import { type PlacedTask, placeTasks } from './placed-tasks.ts'

/** A service as `fleet service ls` shows it. */
export interface ServiceRow {
  readonly swarm: string
  readonly service: string
  readonly id: string
  /** The stack to which the service belongs; absent if there is none. */
  readonly stack?: string
  readonly mode: 'replicated' | 'global' | 'replicated-job' | 'global-job'
  /** How many tasks are running, and how many should be; for jobs, how many have completed, and how many should. */
  readonly running: number
  readonly desired: number
  readonly image: string
  /** The published ports, such as `8080->80/tcp`. */
  readonly ports: readonly string[]
  /** The state of the service's last update: `updating`, `paused`, `completed`, `rollback_completed` and so on. */
  readonly update?: string
  readonly updatedAt: string
}

/** The mode of a service. */
export function modeOf({ Mode }: ServiceSpec): ServiceRow['mode'] {
  if (Mode?.Global !== undefined) return 'global'
  if (Mode?.ReplicatedJob !== undefined) return 'replicated-job'
  return Mode?.GlobalJob === undefined ? 'replicated' : 'global-job'
}

function rowOf(swarm: string, service: Service): ServiceRow {
  const { ID, Spec, Endpoint, UpdateStatus, ServiceStatus: status, UpdatedAt } = service
  const mode = modeOf(Spec)
  const stack = Spec.Labels?.[stackLabel]
  const isJob = mode.endsWith('job')
  return {
    ...{ swarm, service: Spec.Name, id: ID },
    ...(stack !== undefined && { stack }),
    ...{ mode, running: (isJob ? status?.CompletedTasks : status?.RunningTasks) ?? 0 },
    desired:
      (isJob ? Spec.Mode?.ReplicatedJob?.TotalCompletions : undefined) ?? status?.DesiredTasks ?? 0,
    image: Spec.TaskTemplate.ContainerSpec?.Image ?? '',
    ports: Endpoint.Ports.map(
      ({ PublishedPort, TargetPort, Protocol }) => `${PublishedPort}->${TargetPort}/${Protocol}`,
    ),
    ...(UpdateStatus !== undefined && { update: UpdateStatus.State }),
    updatedAt: UpdatedAt,
  }
}

const byName = (one: Service, other: Service): number =>
  one.Spec.Name < other.Spec.Name ? -1 : one.Spec.Name > other.Spec.Name ? 1 : 0

/** Lists the services of a swarm, or of one stack on it, sorted by name. */
export async function readServices(
  { signal }: Context,
  swarm: OpenSwarm,
  { stack }: { readonly stack?: string } = {},
): Promise<readonly Service[]> {
  const services = await swarm.ask(({ engine }) =>
    listServices(engine, { ...(stack !== undefined && { stack }), signal }),
  )
  return services.toSorted(byName)
}

/** Lists the services of a swarm as rows. */
export const serviceRows = async (
  context: Context,
  swarm: OpenSwarm,
): Promise<readonly ServiceRow[]> =>
  (await readServices(context, swarm)).map((service) => rowOf(swarm.name, service))

/** Finds a service by name or ID. Throws kind `failed`, with the most similar name, if there is none. */
export function findService(services: readonly Service[], swarm: string, name: string): Service {
  const found =
    services.find(({ Spec }) => Spec.Name === name) ?? services.find(({ ID }) => ID === name)
  if (found !== undefined) return found
  const names = services.map(({ Spec }) => Spec.Name)
  throw new UserError(
    'failed',
    `swarm ${swarm} has no service ${JSON.stringify(name)}${suggest(name, names)}`,
    { hint: `to list the swarm's services: fleet service ls -m ${swarm}` },
  )
}

/** A task as `fleet service ps` shows it. */
export interface TaskRow {
  readonly swarm: string
  readonly service: string
  /** The name of the task: `web.1`, or `agent.web-1` for the task of a global service on the machine web-1. */
  readonly task: string
  readonly id: string
  /** Absent if the task is not on a node yet, or the node is not a machine in the inventory. */
  readonly machine?: string
  /** The ID of the node. */
  readonly node?: string
  readonly state: string
  /** The desired state: `running`, `shutdown` and so on. */
  readonly desired: string
  /** The time at which the task reached its state, in ISO 8601 format. */
  readonly since: string
  readonly error?: string
  readonly exitCode?: number
  readonly image: string
  /** The ID of the container. */
  readonly container?: string
}

function taskRow(swarm: string, { task, service, name, machine }: PlacedTask): TaskRow {
  const { ContainerStatus: container, State, Timestamp, Err } = task.Status
  const hasEnded = /^(?:complete|failed|shutdown)$/.test(State)
  return {
    ...{ swarm, service, task: name, id: task.ID },
    ...(machine !== undefined && { machine }),
    ...(task.NodeID !== undefined && { node: task.NodeID }),
    ...{ state: State, desired: task.DesiredState, since: Timestamp },
    ...(Err !== '' && { error: Err }),
    ...(hasEnded && container?.ExitCode !== undefined && { exitCode: container.ExitCode }),
    image: task.Spec.ContainerSpec?.Image ?? '',
    ...(container?.ContainerID !== undefined && { container: container.ContainerID }),
  }
}

/** Lists the tasks of services with their machines. */
export const readTasks = (
  context: Context,
  swarm: OpenSwarm,
  services: readonly Service[],
): Promise<readonly PlacedTask[]> =>
  swarm.ask(async ({ engine, nodes }) => {
    if (services.length === 0) return []
    const { signal } = context
    const tasks = await listTasks(engine, { services: services.map(({ ID }) => ID), signal })
    return placeTasks(context, nodes, services, tasks)
  })

/**
 * Lists the tasks of the named services, or of all services if no names are given, as rows. Throws as {@link
 * findService} does.
 */
export async function taskRows(
  context: Context,
  swarm: OpenSwarm,
  names: readonly string[],
): Promise<readonly TaskRow[]> {
  const all = await readServices(context, swarm)
  const services =
    names.length === 0 ? all : names.map((name) => findService(all, swarm.name, name))
  return (await readTasks(context, swarm, services)).map((task) => taskRow(swarm.name, task))
}
