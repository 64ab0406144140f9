import type { Engine } from '../../engine/engine.ts'
import { type LogLine, type LogOptions, streamLogs } from '../../engine/logs.ts'
import { UserError } from '../../errors.ts'
import { interleave } from './interleave.ts'
import { mergeSorted } from './merge-sorted.ts'

/** A container whose log is to be read. */
export interface LogSource {
  readonly machine: string
  /** The name or ID of the container. */
  readonly container: string
  readonly engine: Engine
}

type Origin = Pick<LogSource, 'machine' | 'container'>

/** A log line of a container, or the error that ended its log; the other logs continue. */
export type LogEntry = Origin & (LogLine | { readonly error: UserError })

/**
 * Merges the logs of many containers: sorted by time or, with `follow`, as lines arrive. The times come from the hosts'
 * clocks. Throws the signal's reason when aborted.
 */
export async function* readLogs(
  sources: readonly LogSource[],
  { signal, ...options }: LogOptions & { readonly signal: AbortSignal },
): AsyncGenerator<LogEntry, void> {
  const left = new AbortController()
  const logOptions = { ...options, signal: AbortSignal.any([signal, left.signal]) }
  const logs = sources.map((source) => readLog(source, logOptions))
  try {
    if (options.follow === true) yield* interleave(logs, signal)
    else yield* mergeSorted(logs, timeOf)
  } finally {
    left.abort()
  }
}

/** The sort key of an entry. Errors sort first, so that they are shown immediately. */
const timeOf = (entry: LogEntry): string => ('error' in entry ? '' : entry.time)

async function* readLog(
  { machine, container, engine }: LogSource,
  options: LogOptions,
): AsyncGenerator<LogEntry, void> {
  try {
    for await (const line of streamLogs(engine, container, options)) {
      yield { machine, container, ...line }
    }
  } catch (error) {
    if (!(error instanceof UserError) || options.signal?.aborted === true) throw error
    yield { machine, container, error }
  }
}
