import { type UserError, exitCodes } from '../../errors.ts'
import type { LogEntry } from '../../operations/fan-out/read-logs.ts'
import { writeFailures } from '../../ui/failure.ts'
import type { Io } from '../../ui/io.ts'
import { openPrefixedLines } from '../../ui/prefixed-lines.ts'

/** Options for writing lines of logs. */
interface LogOutput {
  /** Whether each line is one JSON object. */
  readonly json: boolean
  /** Whether the time of each line is written. */
  readonly timestamps: boolean
  /** Returns the prefix for the lines of a source. If absent, lines have no prefix. */
  readonly nameOf?: ((source: { machine: string; container: string }) => string) | undefined
  /** Called when a log ends with an error. The other logs continue unless this throws. */
  readonly onError: (entry: LogEntry & { readonly error: UserError }) => void
}

/** Writes log lines as they arrive. `sources`: all sources that lines may come from. */
export async function writeLogs(
  io: Io,
  lines: AsyncIterable<LogEntry> | Iterable<LogEntry>,
  sources: readonly { readonly machine: string; readonly container: string }[],
  { json, timestamps, nameOf, onError }: LogOutput,
): Promise<void> {
  const prefixed = nameOf && openPrefixedLines(io, sources.map(nameOf))
  for await (const entry of lines) {
    if ('error' in entry) {
      onError(entry)
      continue
    }
    const line = timestamps ? `${entry.time} ${entry.line}` : entry.line
    if (json) io.stdout.write(`${JSON.stringify(entry)}\n`)
    else if (prefixed === undefined || nameOf === undefined) io[entry.stream].pass(`${line}\n`)
    else prefixed.write(nameOf(entry), entry.stream, line)
    const output = io[json ? 'stdout' : entry.stream]
    if (output.needsDrain) await output.drained()
  }
}

/** A machine whose logs could not be read, or could be read only in part. */
interface LogFailure {
  readonly machine: { readonly name: string }
  readonly error: UserError
}

/**
 * Writes log lines and the failures of machines. Failures are written after the lines; with `follow`, they are written
 * immediately, because the logs may never end. `of`: the number of machines. Returns the exit code.
 */
export async function writeLogsAndFailures(
  io: Io,
  lines: Parameters<typeof writeLogs>[1],
  sources: Parameters<typeof writeLogs>[2],
  {
    unread,
    of,
    follow,
    ...output
  }: Omit<LogOutput, 'onError'> & {
    readonly unread: readonly LogFailure[]
    readonly of: number
    readonly follow: boolean
  },
): Promise<number> {
  const failures = [...unread]
  const report = (some: readonly LogFailure[]) => writeFailures(io, some, { of, json: output.json })
  if (follow) report(failures)
  await writeLogs(io, lines, sources, {
    ...output,
    onError({ machine, error }) {
      const failure = { machine: { name: machine }, error }
      failures.push(failure)
      if (follow) report([failure])
    },
  })
  if (!follow) report(failures)
  return failures.length === 0 ? exitCodes.ok : exitCodes.failed
}
