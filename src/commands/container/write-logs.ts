import type { UserError } from '../../errors.ts'
import type { LogEntry } from '../../operations/fan-out/read-logs.ts'
import type { Io } from '../../ui/io.ts'
import { openPrefixedLines } from '../../ui/prefixed-lines.ts'

/** How lines of logs are written. */
interface LogOutput {
  /** Whether each line is one JSON object. */
  readonly json: boolean
  /** Whether the time of each line is written. */
  readonly timestamps: boolean
  /** The prefix of the lines of a source; absent: lines have no prefix. */
  readonly nameOf?: ((source: { machine: string; container: string }) => string) | undefined
  /** Called for a log that ended with an error; the others continue, unless it throws. */
  readonly onError: (entry: LogEntry & { readonly error: UserError }) => void
}

/** Writes the lines of logs as they arrive. `sources` are all whose lines may come. */
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
