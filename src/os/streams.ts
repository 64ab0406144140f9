import type { Readable, Writable } from 'node:stream'
import type { Environment } from './environment.ts'

/** A stream that may be a terminal. */
export type Terminal = {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** The streams, environment and working directory of fleet, or of a program that it runs for the user. */
export interface Streams {
  readonly stdin: Readable &
    Terminal & { setRawMode?(on: boolean): unknown; readonly isRaw?: boolean }
  readonly stdout: Writable & Terminal
  readonly stderr: Writable & Terminal
  readonly env: Environment
  readonly cwd: string
  /**
   * Aborted when the process receives a signal such as SIGTERM. The `cause` of the abort reason is the name of the
   * signal; it is absent for Ctrl-C.
   */
  readonly signal: AbortSignal
}

/**
 * Returns the name of the process signal that caused the abort: the `cause` of the abort reason, or SIGINT by default.
 */
export function signalBehind({ reason }: AbortSignal): 'SIGINT' | 'SIGTERM' | 'SIGHUP' {
  const cause: unknown = reason instanceof Error ? reason.cause : undefined
  return cause === 'SIGTERM' || cause === 'SIGHUP' ? cause : 'SIGINT'
}
