import type { Readable, Writable } from 'node:stream'

/** A stream that may be a terminal. */
type Terminal = { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }

/** The built program: it can be started anew, as the broker. */
export interface Program {
  readonly file: string
  /** Tells it from every other build. */
  readonly build: string
  readonly version: string
}

/** A command's surroundings: what `process` offers, so that tests can run commands in-process. */
export interface Io {
  readonly stdin: Readable & Terminal & { setRawMode?(on: boolean): unknown }
  readonly stdout: Writable & Terminal
  readonly stderr: Writable & Terminal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Absent where a test runs the command. */
  readonly program?: Program
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
}
