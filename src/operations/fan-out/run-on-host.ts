import { constants } from 'node:os'
import { pipeline } from 'node:stream/promises'
import { codeOf } from '../../errors.ts'
import { exitCodeOf } from '../../transport/command.ts'
import type {
  CommandLine,
  ExecOptions,
  RunningCommand,
  Transport,
} from '../../transport/transport.ts'
import { type Streams, signalBehind } from '../../os/streams.ts'

/** The exit code of a program that was killed by SIGPIPE (POSIX). */
const brokenPipe = 128 + constants.signals.SIGPIPE

/** The login shell of the user. */
const loginShell: CommandLine = { shell: 'exec "$SHELL" -l' }

/** The terminal for the command: the same as the local one, if both input and output are terminals. */
function terminalOf({ stdin, stdout, env }: Streams): ExecOptions['terminal'] {
  if (stdin.isTTY !== true || stdout.isTTY !== true) return undefined
  const { columns = 80, rows = 24 } = stdout
  return { type: env['TERM'] || 'xterm', columns, rows }
}

/** Puts the local terminal into raw mode and forwards its size; the returned function restores it. */
function joinTerminals({ stdin, stdout }: Streams, running: RunningCommand): () => void {
  const resize = (): void =>
    running.resize({ columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 })
  stdin.setRawMode?.(true)
  stdout.on('resize', resize)
  return () => {
    stdout.off('resize', resize)
    stdin.setRawMode?.(false)
  }
}

interface RunOptions extends Pick<ExecOptions, 'forwardAgent'> {
  /** Sends a signal, such as `TERM`, to the command. */
  readonly kill?: (running: RunningCommand, name: string) => void
  /** Called when the command has started. */
  readonly started?: () => void
}

/**
 * Runs a command (default: the login shell) on a host as if it were local: forwards input, output, the terminal, its
 * window size, signals and the exit code. Rejects with kind `unreachable` when the connection is lost.
 */
export async function runOnHost(
  transport: Transport,
  command: CommandLine | undefined,
  streams: Streams,
  {
    kill = (running, name) => running.kill(name),
    started = () => {},
    forwardAgent = false,
  }: RunOptions = {},
): Promise<number> {
  const { stdin, stdout, stderr, signal } = streams
  const channel = new AbortController()
  const terminal = terminalOf(streams)
  const giveUp = (): void => channel.abort(signal.reason) // cancels the start if the host hangs
  signal.addEventListener('abort', giveUp)
  const running = await transport
    .exec(command ?? loginShell, {
      forwardAgent,
      signal: channel.signal,
      ...(terminal === undefined ? {} : { terminal }),
    })
    .finally(() => signal.removeEventListener('abort', giveUp))
  started()
  const leaveTerminal = terminal === undefined ? undefined : joinTerminals(streams, running)
  const sendSignal = (): void => kill(running, signalBehind(signal).slice('SIG'.length))
  signal.addEventListener('abort', sendSignal)
  if (signal.aborted) sendSignal()
  running.stdin.on('error', () => {}) // a command may exit without reading its input
  stdin.pipe(running.stdin)
  try {
    const [status] = await Promise.all([
      running.exit,
      pipeline(running.stdout, stdout, { end: false }),
      pipeline(running.stderr, stderr, { end: false }),
    ])
    return exitCodeOf(status)
  } catch (error) {
    running.exit.catch(() => {})
    channel.abort()
    if (codeOf(error) === 'EPIPE') return brokenPipe
    throw error
  } finally {
    signal.removeEventListener('abort', sendSignal)
    stdin.unpipe(running.stdin)
    stdin.pause()
    leaveTerminal?.()
  }
}
