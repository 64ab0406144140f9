import type { Readable } from 'node:stream'
import { splitLines } from '../../engine/lines.ts'
import { exitCodeOf } from '../../transport/exit-code.ts'
import type { CommandLine, Transport } from '../../transport/transport.ts'

/** Takes a line; what it returns is waited for before the next one is read. */
export type TakeLine = (stream: 'stdout' | 'stderr', line: string) => unknown

/** Gives a stream to `take`, line by line, to its end. */
export async function takeLines(
  name: 'stdout' | 'stderr',
  stream: Readable,
  take: TakeLine,
): Promise<void> {
  for await (const line of splitLines(stream)) await take(name, line.toString().replace(/\r$/, ''))
}

/**
 * Runs a command on a host, with nothing to read, and gives its output line by line. Resolves to the exit code.
 * An abort of `signal` ends it.
 */
export async function runLines(
  transport: Transport,
  command: CommandLine,
  signal: AbortSignal,
  take: TakeLine,
): Promise<number> {
  const running = await transport.exec(command, { signal })
  running.stdin.on('error', () => {}) // a command may end without reading its input
  running.stdin.end()
  const [status] = await Promise.all([
    running.exit,
    takeLines('stdout', running.stdout, take),
    takeLines('stderr', running.stderr, take),
  ])
  return exitCodeOf(status)
}
