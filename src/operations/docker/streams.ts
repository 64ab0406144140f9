import type { Readable, Writable } from 'node:stream'

/** A stream that may be a terminal. */
type Terminal = { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }

/** What a program that fleet runs for a person is connected to. */
export interface Streams {
  readonly stdin: Readable & Terminal & { setRawMode?(on: boolean): unknown }
  readonly stdout: Writable & Terminal
  readonly stderr: Writable & Terminal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Aborted by Ctrl-C (its reason names no signal, or `SIGINT`) and by other signals, named as its cause. */
  readonly signal: AbortSignal
}

/** Which signal aborted: the `cause` of the reason when it names one, else that of Ctrl-C. */
export function signalBehind({ reason }: AbortSignal): 'SIGINT' | 'SIGTERM' | 'SIGHUP' {
  const cause: unknown = reason instanceof Error ? reason.cause : undefined
  return cause === 'SIGTERM' || cause === 'SIGHUP' ? cause : 'SIGINT'
}
