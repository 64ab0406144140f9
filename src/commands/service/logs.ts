import type { LogEntry } from '../../operations/fan-out/read-logs.ts'
import { type Invocation, defineCommand, several } from '../command.ts'
import { logOptions, logRange } from '../container/logs.ts'
import { writeLogsAndFailures } from '../container/write-logs.ts'
import { swarmOf } from './swarm-of.ts'

type LogArguments = Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'> & {
  readonly options: Parameters<typeof logRange>[0] & { readonly timestamps: boolean }
}

/** Adds the name of its task to each log line. */
async function* withTasks(
  entries: AsyncIterable<LogEntry>,
  tasks: ReadonlyMap<string, string>,
): AsyncGenerator<LogEntry, void> {
  for await (const entry of entries) {
    const task = { task: tasks.get(entry.container) }
    yield { ...entry, ...task }
  }
}

/**
 * Writes the logs of the tasks that the names choose: SERVICE for all tasks of a service, or SERVICE.N for one task.
 * Returns the exit code.
 */
export async function showServiceLogs(
  { fleet, io, targets, format, options }: LogArguments,
  names: readonly string[],
): Promise<number> {
  const { findTaskLogs } = await import('../../operations/services/task-containers.ts')
  const { readLogs } = await import('../../operations/fan-out/read-logs.ts')
  const range = await logRange(options)
  const swarm = await swarmOf({ fleet, targets })
  const { sources, failures: unread } = await findTaskLogs(fleet, swarm, names)
  const tasks = new Map(sources.map(({ container, task }) => [container, task]))
  const nameOf = ({ machine, container }: { machine: string; container: string }): string =>
    `${tasks.get(container) ?? container} ${machine}`
  const lines = withTasks(readLogs(sources, { ...range, signal: fleet.signal }), tasks)
  return writeLogsAndFailures(io, lines, sources, {
    ...{ json: format.json, timestamps: options.timestamps, follow: options.follow },
    nameOf: sources.length > 1 ? nameOf : undefined,
    ...{ unread, of: sources.length + unread.length },
  })
}

export const serviceLogs = defineCommand({
  name: 'logs',
  summary: 'Show service logs',
  description:
    'Show service logs, read from the engines that run the tasks. SERVICE selects the running task of each slot, or the newest one if none is running; SERVICE.N selects one task. With several tasks, each line is prefixed with its source, and lines are sorted by time; with --follow, they appear as they are written.',
  arguments: {
    services: several('services', 'service or task names, such as web or web.2', 'service'),
  },
  options: logOptions,
  targets: 'swarm',
  answers: 'json',
  examples: ['fleet service logs web', 'fleet service logs -f web.2 -m prod'],
  run: ({ args, ...invocation }) => showServiceLogs(invocation, args.services),
})
