import type { Readable, Writable } from 'node:stream'
import { Output, type Terminal } from './output.ts'
import { Screen } from './progress/screen.ts'

/** The built program: it can be started anew, as the broker. */
export interface Program {
  readonly file: string
  /** Tells it from every other build. */
  readonly build: string
  readonly version: string
}

/** What the process offers to a command, so that tests can run commands in-process. */
export interface ProcessIo {
  readonly stdin: Readable & Terminal & { setRawMode?(on: boolean): unknown }
  readonly stdout: Writable & Terminal
  readonly stderr: Writable & Terminal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Absent where a test runs the command. */
  readonly program?: Program
  /** Aborted by Ctrl-C and SIGTERM, once `heedSignals` was called. */
  readonly signal: AbortSignal
  /**
   * Has signals abort `signal`. Before, they end the process: while a file is parsed that somebody else wrote, nothing could
   * listen to them, and there is nothing to clear away. Absent where a test runs the command.
   */
  readonly heedSignals?: () => void
}

/** A command's surroundings. */
export interface Io extends Omit<ProcessIo, 'stdout' | 'stderr'> {
  readonly stdout: Output
  readonly stderr: Output
  /** The terminal that both outputs share. */
  readonly screen: Screen
}

/** The surroundings of a command that runs on `process`. */
export function openIo(process: ProcessIo): Io {
  const screen = new Screen()
  const { stdout, stderr } = process
  return {
    ...process,
    screen,
    stdout: new Output(stdout, screen),
    stderr: new Output(stderr, screen),
  }
}

/** The streams themselves, for what passes through fleet as it is: what another program reads and prints. */
export const passThroughStreams = ({ stdout, stderr, ...io }: Io): Omit<ProcessIo, 'program'> => ({
  ...io,
  stdout: stdout.raw,
  stderr: stderr.raw,
})
