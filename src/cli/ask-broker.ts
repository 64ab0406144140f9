import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { exitOnBrokenPipe } from './broken-pipe.ts'
import { locateHome } from '../state/home/locate-home.ts'
import { type AskedFor, askToRun } from '../broker/client/request-run.ts'
import { inputOver } from '../broker/client/forward-input.ts'
import { placeOfSockets } from '../broker/runtime-dir.ts'
import type { ServerMessage, TtyInfo, StdinRequest } from '../broker/protocol.ts'
import type { Wire } from '../broker/wire.ts'
import { readTopics, runTraced, traceOutput } from '../os/trace.ts'

/** How the output `name` looks. What is no terminal is opened only once there is something to write. */
function lookOf(name: 'stdout' | 'stderr'): TtyInfo {
  if (!isatty(name === 'stdout' ? 1 : 2)) return { isTTY: false }
  const { columns, rows } = process[name]
  return { isTTY: true, columns, rows }
}

/** Passes Ctrl-C and its like on; a second one ends the process. */
function passSignals(wire: Wire): void {
  let isTold = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (isTold) process.exit(128 + constants.signals[signal])
      isTold = true
      wire.send({ kill: signal.slice('SIG'.length) })
    })
  }
}

/** An output of this process, opened when something is written to it. */
class Output {
  readonly #name: 'stdout' | 'stderr'
  #stream: NodeJS.WriteStream | undefined

  constructor(name: 'stdout' | 'stderr') {
    this.#name = name
  }

  /** Writes what comes, no faster than it is taken. */
  pour(chunk: Buffer, wire: Wire): void {
    if (this.#stream === undefined) exitOnBrokenPipe((this.#stream = process[this.#name]))
    if (this.#stream.write(chunk)) return
    wire.pause()
    this.#stream.once('drain', () => wire.resume())
  }

  /** Calls `done` once all that was written is out. */
  flush(done: () => void): void {
    if (this.#stream === undefined) done()
    else this.#stream.write('', done)
  }
}

/** Makes the terminal a mere wire, or what it was. */
function setRaw(on: boolean, wire: Wire): void {
  const { stdin, stdout } = process
  stdin.setRawMode(on)
  stdout.removeAllListeners('resize')
  if (!on) return
  stdout.on('resize', () => wire.send({ resize: { columns: stdout.columns, rows: stdout.rows } }))
}

/** Passes on what the command says, and gives it what it wants of this process, which ends as the command does. */
function serve({ wire, loss }: AskedFor): void {
  const [stdout, stderr] = [new Output('stdout'), new Output('stderr')]
  let input: ReturnType<typeof inputOver> | undefined
  let isOver = false
  const give = (want: StdinRequest): void => {
    if ('raw' in want) return setRaw(want.raw, wire)
    input = inputOver(wire)
    process.stdin.pipe(input.stdin)
  }
  const end = (code: number): void => {
    isOver = true
    stdout.flush(() => stderr.flush(() => process.exit(code)))
  }
  passSignals(wire)
  wire.listen({
    bytes: (chunk) => stdout.pour(chunk, wire),
    errors: (chunk) => stderr.pour(chunk, wire),
    message(answer: ServerMessage) {
      if ('want' in answer) give(answer.want)
      else if ('taken' in answer) input?.taken(answer.taken)
      else if ('exit' in answer) end('code' in answer.exit ? answer.exit.code : 130)
    },
    over() {
      if (isOver) return
      stderr.pour(Buffer.from(loss.words), wire)
      end(loss.code)
    },
  })
}

/** Does the work of {@link askBroker}. */
async function askAndServe(argv: readonly string[], build: string): Promise<boolean> {
  const { env } = process
  const home = locateHome(env)
  const asking = askToRun(placeOfSockets(home, env), build, {
    // A relative path would mean another one in the broker, which works in no folder of the person's.
    ...{ argv, cwd: process.cwd(), env: env['FLEET_HOME'] ? { ...env, FLEET_HOME: home } : env },
    // Opening the input would take from it what is typed ahead for whoever reads it.
    ...{ stdin: { isTTY: isatty(0) }, stdout: lookOf('stdout'), stderr: lookOf('stderr') },
  })
  void process.stdout // takes a moment to open, while the broker is busy
  const asked = await asking
  if (asked === undefined) return false
  serve(asked)
  return true
}

/**
 * Has the broker run a command line, and passes on what it says; the process ends as the command does. False, with nothing
 * said or done, where the broker does not run, or leaves it to this process.
 * With `traceId`, the id of the command in the trace, it is traced as `FLEET_DEBUG` says; the process that runs the command
 * reports a wrong setting.
 */
export async function askBroker(
  argv: readonly string[],
  build: string,
  traceId: string | undefined,
): Promise<boolean> {
  if (traceId === undefined) return askAndServe(argv, build)
  const { env } = process
  const write = traceOutput(env, process.cwd(), (text) => void process.stderr.write(text))
  let topics: readonly string[]
  try {
    topics = readTopics(env)
  } catch {
    return false
  }
  // The lines of this process have no values in them, and those of the broker are redacted.
  const tracer = { id: traceId, topics, write, redact: (text: string) => text }
  return runTraced(tracer, async () => {
    // Lines come from the broker until the command, and with it this process, ends.
    if (await askAndServe(argv, build)) await new Promise<never>(() => {})
    return false
  })
}
