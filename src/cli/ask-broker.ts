import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { locateHome } from '../state/home/locate-home.ts'
import { type AcceptedRun, requestRun } from '../broker/client/request-run.ts'
import { exitOnWriteErrors, flushOutput } from './output-errors.ts'
import { openRemoteInput } from '../broker/client/forward-input.ts'
import { brokerFolder } from '../broker/runtime-dir.ts'
import type { ServerMessage, TtyInfo, StdinRequest } from '../broker/protocol.ts'
import type { Wire } from '../broker/frames.ts'
import { readTopics, runTraced, traceOutput } from '../os/trace.ts'

/** Returns whether an output is a terminal, and its size. Files and pipes are opened only when something is written. */
function ttyInfoOf(name: 'stdout' | 'stderr'): TtyInfo {
  if (!isatty(name === 'stdout' ? 1 : 2)) return { isTTY: false }
  const { columns, rows } = process[name]
  return { isTTY: true, columns, rows }
}

/** Forwards SIGINT, SIGTERM and SIGHUP; a second signal ends the process. */
function forwardSignals(wire: Wire): void {
  let isForwarded = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (isForwarded) process.exit(128 + constants.signals[signal])
      isForwarded = true
      wire.send({ kill: signal.slice('SIG'.length) })
    })
  }
}

/** The standard output or standard error of this process, opened on first use. */
class Output {
  readonly #name: 'stdout' | 'stderr'
  #stream: NodeJS.WriteStream | undefined

  constructor(name: 'stdout' | 'stderr') {
    this.#name = name
  }

  /** Writes a chunk, and pauses the connection while the reader is slow. */
  write(chunk: Buffer, wire: Wire): void {
    this.#stream ??= exitOnWriteErrors(this.#name)
    if (this.#stream.write(chunk)) return
    wire.pause()
    this.#stream.once('drain', () => wire.resume())
  }

  /** Calls `done` when everything has been written. */
  flush(done: () => void): void {
    if (this.#stream === undefined) done()
    else flushOutput(this.#name, done)
  }
}

/** Turns the terminal's raw mode on or off. */
function setRaw(on: boolean, wire: Wire): void {
  const { stdin, stdout } = process
  stdin.setRawMode(on)
  stdout.removeAllListeners('resize')
  if (!on) return
  stdout.on('resize', () => wire.send({ resize: { columns: stdout.columns, rows: stdout.rows } }))
}

/** Forwards the input and output of a command that runs in the broker, and exits with the command's exit code. */
function serve({ wire, disconnectInfo }: AcceptedRun): void {
  const [stdout, stderr] = [new Output('stdout'), new Output('stderr')]
  let input: ReturnType<typeof openRemoteInput> | undefined
  let hasEnded = false
  const handleRequest = (want: StdinRequest): void => {
    if ('raw' in want) return setRaw(want.raw, wire)
    input = openRemoteInput(wire)
    process.stdin.pipe(input.stdin)
  }
  const end = (code: number): void => {
    hasEnded = true
    stdout.flush(() => stderr.flush(() => process.exit(code)))
  }
  forwardSignals(wire)
  wire.listen({
    bytes: (chunk) => stdout.write(chunk, wire),
    errors: (chunk) => stderr.write(chunk, wire),
    message(answer: ServerMessage) {
      if ('want' in answer) handleRequest(answer.want)
      else if ('taken' in answer) input?.taken(answer.taken)
      else if ('exit' in answer) end('code' in answer.exit ? answer.exit.code : 130)
    },
    drained() {
      if (hasEnded) return
      stderr.write(Buffer.from(disconnectInfo.message), wire)
      end(disconnectInfo.code)
    },
  })
}

/** Implements {@link askBroker}, without tracing. */
async function requestAndServe(argv: readonly string[], build: string): Promise<boolean> {
  const { env } = process
  const home = locateHome(env)
  const accepting = requestRun(brokerFolder(home, env), build, {
    // The broker has a different working directory, so a relative path must be resolved here.
    ...{ argv, cwd: process.cwd(), env: env['FLEET_HOME'] ? { ...env, FLEET_HOME: home } : env },
    // Opening stdin would consume input that was typed ahead for the next program.
    ...{ stdin: { isTTY: isatty(0) }, stdout: ttyInfoOf('stdout'), stderr: ttyInfoOf('stderr') },
  })
  void process.stdout // opening stdout takes a moment, so it is done while the broker works
  const accepted = await accepting
  if (accepted === undefined) return false
  serve(accepted)
  return true
}

/**
 * Runs a command line in the broker, forwards its output, and exits with its exit code. Resolves to false, with nothing
 * printed or done, if the broker is not running or declines the command. If `traceId`, the ID of the command in the
 * trace, is set, this process traces its work as `FLEET_DEBUG` specifies. If `FLEET_DEBUG` is invalid, also resolves to
 * false: the process that then runs the command reports it.
 */
export async function askBroker(
  argv: readonly string[],
  build: string,
  traceId: string | undefined,
): Promise<boolean> {
  if (traceId === undefined) return requestAndServe(argv, build)
  const { env } = process
  const write = traceOutput(env, process.cwd(), (text) => void process.stderr.write(text))
  let topics: readonly string[]
  try {
    topics = readTopics(env)
  } catch {
    return false
  }
  // Trace lines of this process contain no values, and the broker redacts its own.
  const tracer = { id: traceId, topics, write, redact: (text: string) => text }
  return runTraced(tracer, async () => {
    // The process exits when the command in the broker ends.
    if (await requestAndServe(argv, build)) await new Promise<never>(() => {})
    return false
  })
}
