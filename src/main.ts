#!/usr/bin/env node
import type { Io } from './ui/io.ts'

const argv = process.argv.slice(2)

/** What to do at Ctrl-C: the first asks the command to stop, the second does not ask. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController()
  const abort = (code: number) => () => {
    if (controller.signal.aborted) process.exit(code)
    controller.abort()
  }
  process.on('SIGINT', abort(130))
  process.on('SIGTERM', abort(143))
  process.on('SIGHUP', abort(129))
  return controller.signal
}

/** Ends quietly when the reader of our output has gone, as `fleet ps | head` does. */
function exitOnBrokenPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
  const { version } = await import('./version.ts')
  process.stdout.write(`${version}\n`)
} else {
  exitOnBrokenPipe(process.stdout)
  exitOnBrokenPipe(process.stderr)
  const io: Io = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: abortOnSignals(),
  }
  const { runCli } = await import('./cli.ts')
  const code = await runCli(argv, io)
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
}
