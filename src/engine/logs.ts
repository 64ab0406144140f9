import { inspectContainer } from './containers.ts'
import type { Engine } from './engine.ts'
import { type OutputStream, readFrames } from './stream-frames.ts'
import { type Bytes, splitLines } from './lines.ts'

/** A line that a container printed. */
export interface LogLine {
  readonly stream: OutputStream
  /**
   * The engine's timestamp for the beginning of the line: RFC 3339 with nine decimals in UTC, so that it can be sorted
   * as text.
   */
  readonly time: string
  readonly line: string
}

export interface LogOptions {
  readonly follow?: boolean
  /** The number of most recent lines to start with; if absent, all lines. */
  readonly tail?: number
  /** Unix times, in the format of `unixTime`. */
  readonly since?: string
  readonly until?: string
  readonly signal?: AbortSignal
}

/** How long to wait for data from an existing log, in milliseconds. */
const silenceMs = 60_000

/** Streams the log lines of a container, oldest first. With `follow`, the stream ends when the container stops. */
export async function* streamLogs(
  engine: Engine,
  container: string,
  { tail, signal, ...options }: LogOptions = {},
): AsyncGenerator<LogLine, void> {
  // Inspect the container first: engines before API 1.42 do not report the stream format in the content type, and if
  // sessions are limited, an open log must not wait for another connection.
  const { Config } = await inspectContainer(engine, container, signal ? { signal } : {})
  const { body } = await engine.stream({
    path: `/containers/${encodeURIComponent(container)}/logs`,
    query: { stdout: true, stderr: true, timestamps: true, tail: tail ?? 'all', ...options },
    ...(options.follow !== true && { idleTimeoutMs: silenceMs }),
    ...(signal && { signal }),
  })
  yield* Config.Tty ? terminalLines(body) : outputLines(body)
}

const space = 0x20
const newline = 0x0a

/** Splits a message from the engine into its timestamp and the container's output. */
function timed(message: Buffer): { time: string; printed: Buffer } {
  const end = message.indexOf(space)
  return { time: message.toString('latin1', 0, end), printed: message.subarray(end + 1) }
}

/** Engines split lines that are longer than this many bytes into messages of this size, each with a timestamp. */
const longestMessage = 16_384

/** Maximum length of a line, in bytes; a longer line is split. */
const longestLine = 1 << 20

/** Reads the lines of a container without a terminal: each frame is a line, or a part of one. */
async function* outputLines(body: Bytes): AsyncGenerator<LogLine, void> {
  const unfinished = new Map<OutputStream, { time: string; parts: Buffer[]; length: number }>()
  for await (const { stream, payload } of readFrames(body)) {
    const { time, printed } = timed(payload)
    const line = unfinished.get(stream) ?? { time, parts: [], length: 0 }
    const ended = printed.at(-1) === newline
    line.parts.push(ended ? printed.subarray(0, -1) : printed)
    line.length += printed.length
    if (ended || line.length >= longestLine) {
      unfinished.delete(stream)
      yield { stream, time: line.time, line: Buffer.concat(line.parts).toString() }
    } else unfinished.set(stream, line)
  }
  for (const [stream, { time, parts }] of unfinished) {
    yield { stream, time, line: Buffer.concat(parts).toString() }
  }
}

/** Reads the lines of a container with a terminal: messages have no boundaries. */
async function* terminalLines(body: Bytes): AsyncGenerator<LogLine, void> {
  for await (const bytes of splitLines(body)) {
    const { time, printed } = timed(bytes)
    const line = joinMessages(printed, time.length + 1)
    yield { stream: 'stdout', time, line: line.endsWith('\r') ? line.slice(0, -1) : line }
  }
}

const timeAndSpace = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z $/

/** Removes the timestamps inside a line that was longer than one message. */
function joinMessages(printed: Buffer, timeLength: number): string {
  const parts: Buffer[] = []
  let rest = printed
  for (;;) {
    const time = rest.toString('latin1', longestMessage, longestMessage + timeLength)
    if (!timeAndSpace.test(time)) break
    parts.push(rest.subarray(0, longestMessage))
    rest = rest.subarray(longestMessage + timeLength)
  }
  return Buffer.concat([...parts, rest]).toString()
}
