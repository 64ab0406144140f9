import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Environment } from './environment.ts'

/** How a program is run. */
export interface ProgramOptions {
  /** All variables of the program (default: those of this process). */
  readonly env?: Environment
  readonly cwd?: string
  /** Kills the program. */
  readonly signal?: AbortSignal
  /** After this many milliseconds the program is killed. */
  readonly timeout?: number
  /** The longest output in bytes (default: 1 MiB). A program that prints more is killed. */
  readonly maxBuffer?: number
  /** Whether a shell runs the program, which scripts need on Windows. The arguments must then be constants. */
  readonly shell?: boolean
  /** What the program reads from its stdin (default: nothing). */
  readonly input?: string
}

/** The output of a program. */
export interface ProgramOutput {
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program of this computer and resolves to its output. Its stdin is closed after `input`, so that it never waits for the
 * terminal. Rejects if it fails, as `execFile` of Node.js does: the error has the `stdout` and `stderr`, and as `code` either
 * the exit code or a system error such as ENOENT.
 */
export async function execProgram(
  program: string,
  args: readonly string[],
  { input = '', env, ...options }: ProgramOptions = {},
): Promise<ProgramOutput> {
  const running = promisify(execFile)(program, args, {
    ...options,
    ...(env !== undefined && { env: { ...env } }),
    encoding: 'utf8',
  })
  running.child.stdin?.on('error', () => {}) // it may exit before it reads its input
  running.child.stdin?.end(input)
  return running
}
