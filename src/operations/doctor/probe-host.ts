import { object, optional, text } from '../../engine/answer.ts'
import { openEngine } from '../../engine/http-engine.ts'
import { readVersion } from '../../engine/system.ts'
import { UserError } from '../../errors.ts'
import { AfterMark } from '../../transport/output-after-mark.ts'
import { quoteServer } from '../../transport/ssh/connection-errors.ts'
import { startProgram } from '../../transport/start-program.ts'
import type { RunningCommand, Transport } from '../../transport/transport.ts'
import { dialEngine } from '../connect/reach-engine.ts'
import { type HostFacts, hostScript, parseHostFacts } from './host-script.ts'
import { problemOf } from './judge-connection.ts'
import type { EngineAnswer, LargeMessages, ShellFacts, Problem } from './observation.ts'

/** How long each probe of a host may take, in milliseconds. */
const limits = { shell: 15_000, large: 15_000, script: 60_000, engine: 12_000 }

/** The maximum number of bytes to keep of each output stream of a command. */
const longestOutput = 1 << 18
/** The maximum output of a command, in bytes. A command that prints more is killed. */
const mostOutput = 1 << 21

interface Question {
  readonly command: readonly string[]
  readonly input?: string | Buffer
  readonly limitMs: number
  readonly signal: AbortSignal
}

/** The output of a command up to its exit or to the time limit. */
interface Partial {
  readonly stdout: string
  readonly stderr: string
  /** The exit code; absent if the time limit expired, or if the command printed too much. */
  readonly code?: number | undefined
  /** The output that the login shell printed before the command. */
  readonly noise: string
  readonly hasStarted: boolean
  /** The error if the command could not be started, or if the connection was lost. */
  readonly error?: unknown
}

const decode = (bytes: string): string => Buffer.from(bytes, 'latin1').toString()

/** Runs a command with a time limit, and keeps the output up to that limit. */
async function ask(transport: Transport, question: Question): Promise<Partial> {
  const { command, input = '', limitMs, signal } = question
  const late = new AbortController()
  const stop = AbortSignal.any([signal, late.signal])
  const chunks = { stdout: '', stderr: '' }
  let running: RunningCommand | undefined
  let code: number | undefined
  let printed = 0
  const timer = setTimeout(() => late.abort(), limitMs)
  const over = new Promise<void>((resolve) => {
    stop.addEventListener('abort', () => resolve(), { once: true })
  })
  const work = async () => {
    running = await startProgram(transport, command, { signal: stop })
    const { stdin, stdout, stderr, exit } = running
    stdin.on('error', () => {}) // the command may exit without reading its input
    stdin.end(input)
    for (const name of ['stdout', 'stderr'] as const) {
      ;({ stdout, stderr })[name].on('data', (chunk: Buffer) => {
        printed += chunk.length
        if (printed > mostOutput) late.abort()
        if (chunks[name].length < longestOutput) chunks[name] += chunk.toString('latin1')
      })
    }
    const status = await exit
    code = 'code' in status ? status.code : 128
  }
  let error: unknown
  const working = work().catch((thrown: unknown) => {
    error = thrown
  })
  await Promise.race([working, over])
  clearTimeout(timer)
  signal.throwIfAborted()
  const isLate = late.signal.aborted
  const stdout = running?.stdout
  const isMarked = stdout instanceof AfterMark
  const noise = isMarked ? quoteServer(stdout.greeting.slice(0, 4_096)) : ''
  late.abort()
  return {
    stdout: decode(chunks.stdout),
    stderr: decode(chunks.stderr),
    ...{ code, noise, hasStarted: isMarked && stdout.isPastMark },
    ...(!isLate && error !== undefined && { error }),
  }
}

/** Runs a small command, and reports what the login shell printed and why it failed, if it did. */
export async function probeShell(transport: Transport, signal: AbortSignal): Promise<ShellFacts> {
  const limitMs = limits.shell
  const { code, noise, stderr, hasStarted, error } = await ask(transport, {
    ...{ command: ['true'], limitMs, signal },
  })
  if (error !== undefined) return { noise, problem: problemOf(error) }
  if (hasStarted && code === 0) return { noise }
  if (code === undefined) {
    return {
      noise,
      problem: {
        message: `the login shell did not run a command within ${limitMs / 1000} s`,
        hint: 'check the shell startup files on the host (such as ~/.bashrc); if the home directory is on a file server, check that the server responds',
      },
    }
  }
  return { noise, problem: explainShell(code, [noise, quoteServer(stderr)]) }
}

function explainShell(code: number, words: readonly string[]): Problem {
  const printed = words.filter((one) => one !== '').join(' ')
  if (/password change required|password has expired/i.test(printed)) {
    return {
      message: `the user's password must be changed first: ${printed}`,
      hint: 'log in with ssh in a terminal and change the password, or run on the host: chage -d "$(date +%F)" USER',
    }
  }
  const what = printed === '' ? `the shell exited with code ${code} and printed nothing` : printed
  return {
    message: `the login user cannot run commands: ${what}`,
    hint: 'give the user a login shell (not nologin), and remove command= from authorized_keys and ForceCommand from sshd_config',
  }
}

/** The size of a large message in bytes. It does not fit into one packet on any network. */
const largeBytes = 24_576

/**
 * Sends a large message to a host and back. It gets lost on a path whose MTU is too small, although small messages
 * arrive.
 */
export async function probeLargeMessages(
  transport: Transport,
  signal: AbortSignal,
): Promise<LargeMessages> {
  const script = `wc -c; head -c ${largeBytes} /dev/zero | tr '\\000' x`
  const { stdout } = await ask(transport, {
    ...{ command: ['sh', '-c', script], input: Buffer.alloc(largeBytes, 'x') },
    ...{ limitMs: limits.large, signal },
  })
  const [, count, rest = ''] = /^\s*(\d+)\s*\n(x*)$/.exec(stdout) ?? []
  if (Number(count) !== largeBytes) return { sent: 'lost', received: 'unknown' }
  return { sent: 'arrived', received: rest.length === largeBytes ? 'arrived' : 'lost' }
}

/** Runs the host script, and parses the output that it has printed when it exits or the time limit expires. */
export async function readHostFacts(
  transport: Transport,
  { socket, dataRoot = '', signal }: { socket: string; dataRoot?: string; signal: AbortSignal },
): Promise<{ readonly facts: HostFacts } | { readonly problem: Problem }> {
  const { stdout, error } = await ask(transport, {
    ...{ command: ['sh', '-s', socket, dataRoot], input: hostScript },
    ...{ limitMs: limits.script, signal },
  })
  if (error !== undefined && stdout === '') return { problem: problemOf(error) }
  return { facts: parseHostFacts(stdout) }
}

/** Returns whether a small command runs within the time limit. */
export async function runsCommands(
  transport: Transport,
  { limitMs, signal }: { limitMs: number; signal: AbortSignal },
): Promise<boolean> {
  const { code } = await ask(transport, { command: ['true'], limitMs, signal })
  return code === 0
}

const readDataRoot = object<{ readonly DockerRootDir: string | undefined }>({
  DockerRootDir: optional(text),
})

/** Queries the engine for its versions and its data root, with a time limit. */
export async function askEngine(
  transport: Transport,
  {
    socket,
    machine,
    release,
    signal,
  }: {
    socket: string
    machine: string
    release: string | undefined
    signal: AbortSignal
  },
): Promise<EngineAnswer> {
  const limit = AbortSignal.timeout(limits.engine)
  const stop = AbortSignal.any([signal, limit])
  const late = new Promise<never>((_, reject) => {
    stop.addEventListener('abort', () => reject(stop.reason as Error), { once: true })
  })
  late.catch(() => {})
  await using engine = openEngine(dialEngine(transport, socket, machine), {
    ...{ label: machine, release },
  })
  try {
    const { Version, ApiVersion } = await Promise.race([readVersion(engine, stop), late])
    const info = engine.json({ path: '/info', signal: stop }, readDataRoot)
    const { DockerRootDir } = await Promise.race([info, late])
    return { version: Version, api: ApiVersion, dataRoot: DockerRootDir }
  } catch (error) {
    signal.throwIfAborted()
    const reason =
      limit.aborted || (error instanceof UserError && error.kind === 'unreachable')
        ? 'silent'
        : error instanceof UserError && error.kind === 'unsupported'
          ? 'unsupported'
          : 'other'
    return { reason, ...problemOf(error) }
  }
}
