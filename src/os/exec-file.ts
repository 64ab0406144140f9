import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Environment } from './environment.ts'

/** Options for running a program. */
export interface ProgramOptions {
  /** The complete environment of the program (default: the environment of this process). */
  readonly env?: Environment
  readonly cwd?: string
  /** Aborting kills the program. */
  readonly signal?: AbortSignal
  /** The time after which the program is killed, in milliseconds (default: no limit). */
  readonly timeout?: number
  /** Maximum length of the output, in bytes (default: 1 MiB). A program that prints more is killed. */
  readonly maxBuffer?: number
  /** Whether to run the program in a shell, which scripts require on Windows. The arguments must then be constants. */
  readonly shell?: boolean
  /** The standard input of the program (default: empty). */
  readonly input?: string
}

/** The output of a program. */
export interface ProgramOutput {
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a local program and resolves to its output. Standard input is closed after `input`, so that the program never
 * waits for the terminal. Rejects if the program fails, as `execFile` of Node.js does: the error has `stdout` and
 * `stderr`, and its `code` is either the exit code or a system error such as ENOENT.
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
