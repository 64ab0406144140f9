import type { Readable } from 'node:stream'
import { UserError } from '../errors.ts'
import { AfterMark } from './output-after-mark.ts'
import { exitCodeOf } from './command.ts'
import { startProgram } from './start-program.ts'
import type { CommandLine, ExecOptions, RunningCommand, Transport } from './transport.ts'
import { ignored, trace } from '../os/trace.ts'

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions extends ExecOptions {
  /** Standard input (default: empty). */
  readonly input?: string | Buffer
  /** How long the command may go without printing anything, in milliseconds (default: no limit). */
  readonly idleTimeoutMs?: number
}

/** The maximum length of a command's output, in bytes. */
const maxOutputBytes = 1 << 24
/** How many bytes of standard error are kept by default. */
const maxErrorBytes = 1 << 16

/**
 * Reads a stream to its end, but keeps only the first `limit` bytes as text. `onData` is called with the size of each
 * chunk.
 */
export async function readBeginning(
  stream: Readable,
  {
    limit = maxErrorBytes,
    onData = () => {},
  }: { limit?: number; onData?: (bytes: number) => void } = {},
): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    onData(chunk.length)
    if (length < limit) chunks.push(chunk.subarray(0, limit - length))
    length += chunk.length
  }
  return Buffer.concat(chunks).toString()
}

/**
 * Runs a command without a terminal, and collects its output. Rejects with kind `failed` if the command prints too
 * much, and `unreachable` if it prints nothing for `idleTimeoutMs`.
 */
export async function run(
  transport: Transport,
  command: CommandLine,
  { input = '', idleTimeoutMs, signal, ...options }: RunOptions = {},
): Promise<CommandResult> {
  if (!('shell' in command)) trace('ssh', `run ${command[0]} with ${command.length - 1} arguments`)
  const ending = new AbortController()
  const abort = (error: UserError) => ending.abort(error)
  let program: RunningCommand | undefined
  const isStarted = () => !(program?.stdout instanceof AfterMark) || program.stdout.isPastMark
  const stop = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
  const idleTimer =
    idleTimeoutMs === undefined
      ? undefined
      : setTimeout(
          () => abort(isStarted() ? idleError(idleTimeoutMs) : shellHangs(idleTimeoutMs)),
          idleTimeoutMs,
        )
  let printed = 0
  const onData = (bytes: number) => {
    idleTimer?.refresh()
    printed += bytes
    if (printed > maxOutputBytes) abort(tooMuch())
  }
  try {
    const stoppable = { ...options, signal: stop }
    const running = await ('shell' in command
      ? transport.exec(command, stoppable)
      : startProgram(transport, command, stoppable))
    program = running
    running.stdin.on('error', () => {}) // a command may exit before it reads its input
    running.stdin.end(input)
    const ended = Promise.all([
      readBeginning(running.stdout, { limit: maxOutputBytes, onData }),
      readBeginning(running.stderr, { limit: maxOutputBytes, onData }),
      running.exit,
    ])
    ended.catch(ignored('ssh', 'read the output of a command')) // a command that ignores the abort is abandoned
    const [stdout, stderr, status] = await Promise.race([ended, rejectOnAbort(ending.signal)])
    if (running.stdout instanceof AfterMark && !isStarted() && 'code' in status) {
      throw await notStarted(status.code, `${running.stdout.greeting}\n${stderr}`)
    }
    return { code: exitCodeOf(status), stdout, stderr }
  } finally {
    clearTimeout(idleTimer)
  }
}

const tooMuch = (): UserError =>
  new UserError('failed', `a command on the host printed more than ${maxOutputBytes} bytes`)

const idleError = (ms: number): UserError =>
  new UserError('unreachable', `a command on the host produced no output for ${ms / 1000} s`)

/** Creates the error for a program that has printed nothing, not even its mark: the login shell has not started it. */
const shellHangs = (ms: number): UserError =>
  new UserError('unreachable', `the login shell did not run a command within ${ms / 1000} s`, {
    hint: 'check the shell startup files on the host (such as ~/.bashrc); if the home directory is on a file server, check that the server responds',
  })

/** Creates the error for a program that did not start: the account runs another command instead, or none. */
async function notStarted(code: number, output: string): Promise<UserError> {
  const { quoteServer } = await import('./ssh/connection-errors.ts') // rarely needed
  const words = quoteServer(output)
  const shown = words === '' ? `exit code ${code} and no output` : words
  if (/password change required|password has expired/i.test(words)) {
    return new UserError('credentials', `the user's password must be changed first: ${shown}`, {
      hint: 'log in once with ssh in a terminal and change the password, or run on the host: chage -d "$(date +%F)" USER',
    })
  }
  return new UserError('unsupported', `the account cannot run commands: ${shown}`, {
    hint: 'check that the user has a login shell (not nologin), no command= in authorized_keys and no ForceCommand (such as internal-sftp) in sshd_config',
  })
}

const rejectOnAbort = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
