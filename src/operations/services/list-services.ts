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
  /** The stack that it belongs to. */
  readonly stack?: string
  readonly mode: 'replicated' | 'global' | 'replicated-job' | 'global-job'
  /** Tasks that run, and that should run; of jobs: that have completed, and that should complete. */
  readonly running: number
  readonly desired: number
  readonly image: string
  /** `8080->80/tcp` */
  readonly ports: readonly string[]
  /** The state of its last update: `updating`, `paused`, `completed`, `rollback_completed` and so on. */
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

/** Lists the services of a swarm by name; `stack`: only those of a stack. */
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

/** The service with a name or ID among all of a swarm. Throws kind `failed`, with the nearest name. */
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
  /** `web.1`, or `agent.web-1` for the task of a global service on the machine web-1. */
  readonly task: string
  readonly id: string
  /** Absent if it is on no node yet, or on the node of no machine. */
  readonly machine?: string
  /** ID of the node. */
  readonly node?: string
  readonly state: string
  /** `running`, `shutdown` and so on. */
  readonly desired: string
  /** When it got its state. */
  readonly since: string
  readonly error?: string
  readonly exitCode?: number
  readonly image: string
  /** ID of its container. */
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

/** The tasks of services with their machines. */
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

/** The tasks of the named services as rows, or of all. Throws as {@link findService} does. */
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
