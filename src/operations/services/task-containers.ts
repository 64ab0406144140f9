import { shellQuote } from '../../os/shell-quote.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { fanOutInOrder } from '../fan-out/fan-out.ts'
import type { LogSource } from '../fan-out/read-logs.ts'
import { findMachine } from '../inventory/choose-machines.ts'
import { findService, readServices, readTasks } from './list-services.ts'
import type { OpenSwarm } from './open-swarm.ts'
import type { PlacedTask } from './placed-tasks.ts'

/** The container of a task. */
export interface TaskContainer {
  /** The name of the task. */
  readonly task: string
  readonly machine: Machine
  /** The ID of the container. */
  readonly container: string
}

const containerIn = ({ task }: PlacedTask): string | undefined =>
  task.Status.ContainerStatus?.ContainerID

const isRunning = (placed: PlacedTask): boolean =>
  placed.task.Status.State === 'running' && containerIn(placed) !== undefined

/**
 * Finds the tasks that a name selects: all tasks of SERVICE, or the tasks of SERVICE.N. Service names cannot contain
 * dots.
 */
async function tasksNamed(
  context: Context,
  swarm: OpenSwarm,
  name: string,
): Promise<readonly PlacedTask[]> {
  const [service = '', ...rest] = name.split('.')
  const found = findService(await readServices(context, swarm), swarm.name, service)
  const tasks = await readTasks(context, swarm, [found])
  if (rest.length === 0) return tasks
  const chosen = tasks.filter((task) => task.name === `${found.Spec.Name}.${rest.join('.')}`)
  if (chosen.length > 0) return chosen
  throw new UserError('failed', `service ${service} has no task ${name}`, {
    hint: `to list the service's tasks: fleet service ps ${shellQuote(service)} -m ${swarm.name}`,
  })
}

const nodeless = ({ name, task }: PlacedTask): UserError =>
  new UserError(
    'failed',
    `${name} is on node ${task.NodeID ?? ''}, which is not a machine in the inventory`,
    {
      hint: 'to list the nodes: fleet swarm status',
    },
  )

/**
 * Finds the container of a running task: the task SERVICE.N, or the first running task of SERVICE. If there is none,
 * throws kind `failed` with the error of the newest task.
 */
export async function findTaskContainer(
  context: Context,
  swarm: OpenSwarm,
  name: string,
): Promise<TaskContainer> {
  const tasks = await tasksNamed(context, swarm, name)
  const task = tasks.find(isRunning)
  const container = task && containerIn(task)
  if (task === undefined || container === undefined) {
    const error = tasks.map((one) => one.task.Status.Err).find((text) => text !== '')
    throw new UserError(
      'failed',
      `${name} has no running task${error === undefined ? '' : `: ${error}`}`,
      {
        hint: `to see the service's tasks: fleet service ps ${shellQuote(name.split('.')[0] ?? name)} -m ${swarm.name}`,
      },
    )
  }
  if (task.machine === undefined) throw nodeless(task)
  const inventory = await (await context.inventory()).read()
  return { task: task.name, machine: findMachine(inventory, task.machine), container }
}

/** How long the connection to an engine may take, in milliseconds. */
const connectMs = 10_000

/** The logs of tasks, and the errors for tasks whose logs cannot be read. */
export interface TaskLogs {
  readonly sources: readonly (LogSource & { readonly task: string })[]
  readonly failures: readonly {
    readonly machine: { readonly name: string }
    readonly error: UserError
  }[]
}

/**
 * Finds the logs of services on the engines that run the tasks: for SERVICE, the log of the running task of each slot,
 * or else of its newest task; for SERVICE.N, the log of that task. Throws kind `failed` for an unknown name.
 */
export async function findTaskLogs(
  context: Context,
  swarm: OpenSwarm,
  names: readonly string[],
): Promise<TaskLogs> {
  const inventory = await (await context.inventory()).read()
  const named = await Promise.all(names.map((name) => tasksNamed(context, swarm, name)))
  const bySlot = new Map<string, PlacedTask>()
  for (const task of named.flat()) {
    if (containerIn(task) === undefined) continue
    const before = bySlot.get(task.name)
    if (before === undefined || (!isRunning(before) && isRunning(task))) bySlot.set(task.name, task)
  }
  const { signal, clock } = context
  const opened = await fanOutInOrder(
    [...bySlot.values()].map((task) => ({ name: task.machine ?? task.task.NodeID ?? '', task })),
    async ({ name: machine, task }) => {
      if (task.machine === undefined) throw nodeless(task)
      const engine = await context.engine(findMachine(inventory, machine))
      return { machine, container: containerIn(task) ?? '', engine, task: task.name }
    },
    { signal, timeLimit: { ms: connectMs, clock } },
  )
  return {
    sources: opened.flatMap((outcome) => ('value' in outcome ? outcome.value : [])),
    failures: opened.filter((outcome) => 'error' in outcome),
  }
}
