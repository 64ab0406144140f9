import { constants } from 'node:os'
import { runCli } from './program.ts'
import { UserError, exitCodes } from '../errors.ts'
import { exitOnWriteErrors, flushOutput } from './output-errors.ts'
import { writeFailure } from '../ui/failure.ts'
import { type ProcessIo, type Program, openIo } from '../ui/io.ts'

/**
 * Creates an abort signal. Once `handleSignals` has been called, SIGINT, SIGTERM or SIGHUP aborts it, with that
 * signal's name as the cause; a second such signal ends the process.
 */
function abortOnSignals(): Required<Pick<ProcessIo, 'signal' | 'handleSignals'>> {
  const controller = new AbortController()
  let isHandling = false
  return {
    signal: controller.signal,
    handleSignals() {
      if (isHandling) return
      isHandling = true
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
        process.on(signal, () => {
          if (controller.signal.aborted) process.exit(128 + constants.signals[signal])
          controller.abort(new UserError('cancelled', 'cancelled', { cause: signal }))
        })
      }
    },
  }
}

/**
 * Makes the process fail with the exit code for a bug if the event loop becomes empty before the returned function is
 * called. By default, Node.js would exit with 0.
 */
export function failWhenIdle(io: ProcessIo): () => void {
  const fail = (): void => {
    process.exitCode = exitCodes.bug
    writeFailure(
      openIo(io),
      new Error('internal error: the process exited before the command finished'),
      false,
    )
  }
  process.once('beforeExit', fail)
  return () => process.removeListener('beforeExit', fail)
}

/** Runs a command line, and ends this process with its exit code. */
export async function runProcess(argv: readonly string[], program: Program): Promise<void> {
  const io: ProcessIo = {
    stdin: process.stdin,
    stdout: exitOnWriteErrors('stdout'),
    stderr: exitOnWriteErrors('stderr'),
    env: process.env,
    cwd: process.cwd(),
    program,
    ...abortOnSignals(),
  }
  const done = failWhenIdle(io)
  const code = await runCli(argv, { io, version: program.version })
  done()
  // All output must be written before the process exits.
  flushOutput('stdout', () => flushOutput('stderr', () => process.exit(code)))
}
