import type { Readable } from 'node:stream'
import { splitLines } from '../../engine/lines.ts'
import { exitCodeOf } from '../../transport/command.ts'
import type { CommandLine, ExecOptions, Transport } from '../../transport/transport.ts'

/** Handles a line; a returned promise is awaited before the next line is read. */
export type TakeLine = (stream: 'stdout' | 'stderr', line: string) => unknown

/** Passes a stream to `take`, line by line. */
export async function takeLines(
  name: 'stdout' | 'stderr',
  stream: Readable,
  take: TakeLine,
): Promise<void> {
  for await (const line of splitLines(stream)) await take(name, line.toString().replace(/\r$/, ''))
}

/**
 * Runs a command on a host without input, and passes its output to `take` line by line. Resolves to the exit code.
 * Aborting `signal` ends the command.
 */
export async function runLines(
  transport: Transport,
  command: CommandLine,
  signal: AbortSignal,
  take: TakeLine,
  options: Pick<ExecOptions, 'forwardAgent'> = {},
): Promise<number> {
  const running = await transport.exec(command, { ...options, signal })
  running.stdin.on('error', () => {}) // a command may exit without reading its input
  running.stdin.end()
  const [status] = await Promise.all([
    running.exit,
    takeLines('stdout', running.stdout, take),
    takeLines('stderr', running.stderr, take),
  ])
  return exitCodeOf(status)
}
