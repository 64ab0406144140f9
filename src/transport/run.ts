import type { Readable } from 'node:stream'
import { UserError } from '../errors.ts'
import { exitCodeOf } from './exit-code.ts'
import { startProgram } from './start-program.ts'
import type { CommandLine, ExecOptions, Transport } from './transport.ts'
import { ignored, trace } from '../os/trace.ts'

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions extends ExecOptions {
  /** Its standard input. */
  readonly input?: string | Buffer
  /** How long it may print nothing, in milliseconds; for ever unless told. */
  readonly patienceMs?: number
}

/** How much a command may print, in bytes: what is longer answers no question of fleet's. */
const longestOutput = 1 << 24
/** How much is kept of what a command says of its failure, in bytes. */
const longestComplaint = 1 << 16

/** What comes, as text, no more of it than `limit` bytes; the rest is taken and dropped. `heard` is told of all. */
export async function beginningOf(
  stream: Readable,
  {
    limit = longestComplaint,
    heard = () => {},
  }: { limit?: number; heard?: (bytes: number) => void } = {},
): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    heard(chunk.length)
    if (length < limit) chunks.push(chunk.subarray(0, limit - length))
    length += chunk.length
  }
  return Buffer.concat(chunks).toString()
}

/** Runs a command to its end and collects what it printed. */
export async function run(
  transport: Transport,
  command: CommandLine,
  { input = '', patienceMs, signal, ...options }: RunOptions = {},
): Promise<CommandResult> {
  if (!('shell' in command)) trace('ssh', `run ${command[0]} with ${command.length - 1} arguments`)
  const ending = new AbortController()
  const giveUp = (error: UserError) => ending.abort(error)
  const stop = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
  const silence =
    patienceMs === undefined ? undefined : setTimeout(() => giveUp(silent(patienceMs)), patienceMs)
  let printed = 0
  const heard = (bytes: number) => {
    silence?.refresh()
    printed += bytes
    if (printed > longestOutput) giveUp(tooMuch())
  }
  try {
    const stoppable = { ...options, signal: stop }
    const running = await ('shell' in command
      ? transport.exec(command, stoppable)
      : startProgram(transport, command, stoppable))
    running.stdin.on('error', () => {}) // a command may end without reading its input
    running.stdin.end(input)
    const ended = Promise.all([
      beginningOf(running.stdout, { limit: longestOutput, heard }),
      beginningOf(running.stderr, { limit: longestOutput, heard }),
      running.exit,
    ])
    ended.catch(ignored('ssh', 'read what a command printed')) // one that does not end when it is told to is left alone
    const [stdout, stderr, status] = await Promise.race([ended, givenUp(ending.signal)])
    return { code: exitCodeOf(status), stdout, stderr }
  } finally {
    clearTimeout(silence)
  }
}

const tooMuch = (): UserError =>
  new UserError('failed', `a command on the host printed more than ${longestOutput} bytes`)

const silent = (ms: number): UserError =>
  new UserError('unreachable', `a command on the host printed nothing for ${ms / 1000} s`)

const givenUp = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
