import { shellQuote } from '../../os/shell-quote.ts'
import { streamLogs } from '../../engine/logs.ts'
import { type Service, inspectService } from '../../engine/swarm/services.ts'
import { type Task, listTasks } from '../../engine/swarm/tasks.ts'
import { UserError, messageOf } from '../../errors.ts'
import type { Progress } from '../../os/progress.ts'
import { pause } from '../../os/retry.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { findMachine } from '../inventory/choose-machines.ts'
import { modeOf } from './list-services.ts'
import type { OpenSwarm } from './open-swarm.ts'
import { placeTasks } from './placed-tasks.ts'

/** The progress of a service toward its desired state. */
export interface ServiceState {
  /**
   * `settling`: all tasks are running, but have not been observed for long enough yet. `rolling-back`: an update has
   * failed. `failed`: the service cannot converge without help.
   */
  readonly state: 'converged' | 'settling' | 'waiting' | 'rolling-back' | 'failed'
  /** How many tasks are running, and how many should be; for jobs, how many have completed, and how many should. */
  readonly running: number
  readonly desired: number
  /** Why the service has failed, or is being rolled back. */
  readonly why?: string
}

/**
 * Counts how many tasks of a service are running, and how many should be; for jobs, how many have completed, and how
 * many should.
 */
function countTasks(
  { Spec, JobStatus }: Pick<Service, 'Spec' | 'JobStatus'>,
  tasks: readonly Task[],
): Pick<ServiceState, 'running' | 'desired'> {
  const mode = modeOf(Spec)
  if (mode.endsWith('job')) {
    const iteration = JobStatus?.JobIteration.Index ?? 0
    const current = tasks.filter(({ JobIteration }) => (JobIteration?.Index ?? 0) === iteration)
    const running = current.filter(({ Status }) => Status.State === 'complete').length
    const total = Spec.Mode?.ReplicatedJob?.TotalCompletions
    return { running, desired: total ?? Math.max(1, current.length) }
  }
  const wanted = tasks.filter(({ DesiredState }) => DesiredState === 'running')
  const running = wanted.filter(({ Status }) => Status.State === 'running').length
  const replicas = Spec.Mode?.Replicated?.Replicas ?? 1
  return { running, desired: mode === 'global' ? wanted.length : replicas }
}

const withMessage = (text: string, message: string): string =>
  message === '' ? text : `${text}: ${message}`

/** Derives the state of a service from its definition and its tasks. `expects`: the requested change. */
export function stateOf(
  service: Pick<Service, 'Spec' | 'UpdateStatus' | 'JobStatus'>,
  tasks: readonly Task[],
  { expects }: { readonly expects: 'update' | 'rollback' },
): ServiceState {
  const counts = countTasks(service, tasks)
  const isWhole = counts.running === counts.desired
  const { State = '', Message = '' } = service.UpdateStatus ?? {}
  switch (State) {
    case 'paused':
      return { ...counts, state: 'failed', why: withMessage('the update is paused', Message) }
    case 'rollback_paused':
      return { ...counts, state: 'failed', why: withMessage('the rollback is paused', Message) }
    case 'rollback_started':
      if (expects === 'rollback') return { ...counts, state: 'waiting' }
      return { ...counts, state: 'rolling-back', why: Message }
    case 'rollback_completed':
      if (expects === 'rollback') return { ...counts, state: isWhole ? 'converged' : 'waiting' }
      return { ...counts, state: 'failed', why: 'the update was rolled back' }
    case 'updating':
      return { ...counts, state: 'waiting' }
    case 'completed':
      return { ...counts, state: isWhole ? 'converged' : 'waiting' }
    default:
      return { ...counts, state: isWhole ? 'settling' : 'waiting' }
  }
}

const isEnded = ({ Status }: Task): boolean => /^(?:failed|rejected)$/.test(Status.State)

/**
 * Returns the newest task that failed or, if there is none, the newest that cannot run. `before`: the IDs of tasks to
 * ignore.
 */
export function newestFailure(
  tasks: readonly Task[],
  before: ReadonlySet<string>,
): Task | undefined {
  const failing = tasks.filter(({ ID, Status }) => !before.has(ID) && Status.Err !== '')
  return failing.toSorted(
    (one, other) =>
      Number(isEnded(other)) - Number(isEnded(one)) || (one.CreatedAt < other.CreatedAt ? 1 : -1),
  )[0]
}

/** The number of log lines shown for a failed task. */
const shownLines = 10

/** Describes a failed task, with the last lines of its log. */
async function describeFailure(
  context: Context,
  swarm: OpenSwarm,
  service: Service,
  task: Task,
): Promise<string> {
  const [placed] = await swarm.ask(({ nodes }) => placeTasks(context, nodes, [service], [task]))
  if (placed === undefined) return task.Status.Err
  const where = placed.machine === undefined ? '' : ` on ${placed.machine}`
  const lines: string[] = []
  const container = task.Status.ContainerStatus?.ContainerID
  if (placed.machine !== undefined && container !== undefined) {
    const inventory = await (await context.inventory()).read()
    const engine = await context.engine(findMachine(inventory, placed.machine))
    const { signal } = context
    try {
      for await (const { line } of streamLogs(engine, container, { tail: shownLines, signal })) {
        lines.push(line)
      }
    } catch (error) {
      context.signal.throwIfAborted()
      lines.push(`(cannot read the log: ${messageOf(error)})`)
    }
  }
  return [
    `${placed.name}${where}: ${task.Status.Err}`,
    ...(lines.length === 0 ? [] : [`last log lines of ${placed.name}:`]),
    ...lines.map((line) => `  ${line}`),
  ].join('\n')
}

/** Options for waiting for a service. */
export interface ConvergeOptions {
  readonly expects: 'update' | 'rollback'
  /** The IDs of the tasks before the change. */
  readonly before: ReadonlySet<string>
  /** The time limit, in milliseconds. */
  readonly waitMs: number
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** The pause between checks of a service, in milliseconds. */
const lookMs = 500

/**
 * How long all tasks must run after a change that replaced none of them, in milliseconds, if the service does not set a
 * monitoring period. Docker uses the same default.
 */
const defaultMonitorMs = 5000

/**
 * Waits until a service has converged. Throws kind `failed` if the service is rolled back, its update is paused, or the
 * time limit expires; the message contains the error of the newest failed task and its last log lines.
 */
export async function waitForService(
  context: Context,
  swarm: OpenSwarm,
  id: string,
  { expects, before, waitMs, progress, signal }: ConvergeOptions,
): Promise<Pick<ServiceState, 'running' | 'desired'>> {
  const deadline = performance.now() + waitMs
  let settledAt: number | undefined
  let last: { readonly service: Service; readonly counts: ServiceState } | undefined
  let failure: Task | undefined
  let cause = ''
  let lastError: unknown
  const fail = async (why: string): Promise<UserError> => {
    if (last === undefined) return new UserError('failed', `${why}: ${messageOf(lastError)}`)
    const { service } = last
    const details =
      failure === undefined
        ? undefined
        : await describeFailure(context, swarm, service, failure).catch(
            ignored('engine', "read a failed task's log"),
          )
    const name = service.Spec.Name
    return new UserError(
      'failed',
      `service ${name}: ${why}${details === undefined ? '' : `\n${details}`}`,
      { hint: `to see the service's tasks: fleet service ps ${shellQuote(name)} -m ${swarm.name}` },
    )
  }
  for (;;) {
    signal.throwIfAborted()
    try {
      const [service, tasks] = await swarm.ask(({ engine }) =>
        Promise.all([
          inspectService(engine, id, signal),
          listTasks(engine, { services: [id], signal }),
        ]),
      )
      const counts = stateOf(service, tasks, { expects })
      last = { service, counts }
      failure = newestFailure(tasks, before) ?? failure
      const { state, running, desired, why } = counts
      progress(
        state === 'rolling-back' ? 'roll back' : 'wait for tasks',
        `${running} of ${desired} ${modeOf(service.Spec).endsWith('job') ? 'completed' : 'running'}`,
      )
      if (state === 'rolling-back' && why) cause = why
      if (state === 'failed') throw await fail(withMessage(why ?? '', cause))
      if (state === 'converged') return { running, desired }
      if (state === 'settling') {
        settledAt ??= performance.now()
        const { Monitor } = service.Spec.UpdateConfig ?? {}
        const monitorMs = Monitor ? Monitor / 1e6 : defaultMonitorMs
        const isJob = modeOf(service.Spec).endsWith('job')
        if (isJob || performance.now() - settledAt >= monitorMs) return { running, desired }
      } else settledAt = undefined
    } catch (error) {
      // A manager may be unreachable, or the swarm may be electing a leader, so the service is checked again.
      signal.throwIfAborted()
      if (last?.counts.state === 'failed' || !(error instanceof UserError)) throw error
      if (/not found/.test(error.message)) throw error
      lastError = error
    }
    if (performance.now() >= deadline) {
      const { running = 0, desired = 0 } = last?.counts ?? {}
      throw await fail(
        `${running} of ${desired} tasks were running after ${Math.round(waitMs / 1000)} s`,
      )
    }
    await pause(lookMs, signal)
  }
}
