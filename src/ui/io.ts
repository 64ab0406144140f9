import type { Streams } from '../os/streams.ts'
import { Output } from './output.ts'
import { Screen } from './progress/screen.ts'

/** The program as built. It can start itself as the broker. */
export interface Program {
  readonly file: string
  /** An identifier that differs for each build. */
  readonly build: string
  readonly version: string
  /** The ID of the command in the trace, if it is traced. */
  readonly traceId?: string | undefined
}

/**
 * The streams and the environment of a process. They are passed to commands so that tests can run commands in-process.
 */
export interface ProcessIo extends Streams {
  /** Absent in tests. */
  readonly program?: Program
  /**
   * Makes Ctrl-C and similar signals abort `signal`. Before this is called, they end the process: while a file of
   * unknown size is being parsed, no listener could run, and there is nothing to clean up yet. Absent in tests.
   */
  readonly handleSignals?: () => void
}

/** The input and outputs of a command. */
export interface Io extends Omit<ProcessIo, 'stdout' | 'stderr'> {
  readonly stdout: Output
  readonly stderr: Output
  /** Coordinates the two outputs, which may be the same terminal. */
  readonly screen: Screen
}

/** Opens the input and outputs of a command that uses the streams of `process`. */
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

/** Returns the raw streams, for another program that reads and writes them. */
export const passThroughStreams = ({ stdout, stderr, ...io }: Io): Omit<ProcessIo, 'program'> => ({
  ...io,
  stdout: stdout.raw,
  stderr: stderr.raw,
})
