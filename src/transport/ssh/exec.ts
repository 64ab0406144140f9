import { PassThrough, type Readable, type Transform } from 'node:stream'
import type { ClientChannel, ExecOptions as SshExecOptions } from 'ssh2'
import { UserError } from '../../errors.ts'
import { loginShellLine, outputDelivered } from '../command.ts'
import type { AgentForwarding } from './agent-forwarding.ts'
import type { Connection } from './connection.ts'
import { WithoutCshError, markCommand } from './signal.ts'
import { requestsOver } from './ssh2-internals.ts'
import type { CommandLine, ExecOptions, ExitStatus, RunningCommand } from '../transport.ts'

/**
 * The number of bytes that may be buffered for a slow reader or connection. A smaller buffer would stall bulk
 * transfers, which send 64 kB at a time.
 */
const bufferSize = 1 << 20

/** The server refused to open another session. */
export class SessionRefused extends UserError {}

/** A command on a host, and a promise that resolves when its session has ended. */
interface Session {
  readonly command: RunningCommand
  readonly over: Promise<void>
}

/**
 * The channel of a session, whose events are handled from the start: a short command can end before a promise is
 * awaited.
 */
interface OpenSession {
  readonly channel: ClientChannel
  readonly closed: Promise<void>
  /** Returns the exit status; undefined until the host has sent it. */
  readonly status: () => ExitStatus | undefined
}

function listen(channel: ClientChannel): OpenSession {
  let status: ExitStatus | undefined
  channel.once('exit', (code: number | null, signal?: string) => {
    status = code === null ? { signal: (signal ?? '').replace(/^SIG/, '') } : { code }
  })
  const closing = [channel, channel.stderr].map(
    (stream) => new Promise<unknown>((resolve) => stream.once('close', resolve)),
  )
  const closed = Promise.all(closing).then(() => {})
  return { channel, closed, status: () => status }
}

/** How long a host may take to open a session, and to answer after a signal, in milliseconds. */
const [openTimeoutMs, signalTimeoutMs] = [20_000, 5_000]

function openSession(
  connection: Connection,
  line: string,
  { signal, ...options }: SshExecOptions & { signal: AbortSignal; agentForward?: boolean },
): Promise<OpenSession> {
  const { machine } = connection.endpoint
  return new Promise((resolve, reject) => {
    const ended = connection.ended()
    if (ended) throw ended
    const giveUp = () => reject(signal.reason)
    if (signal.aborted) return giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    connection.client.exec(line, options, (error, channel) => {
      signal.removeEventListener('abort', giveUp)
      if (!error && signal.aborted) return channel.close() // no longer needed
      if (!error) return resolve(listen(channel))
      if (options.agentForward && /agent forwarding/.test(error.message)) {
        return reject(connection.ended() ?? agentRefused(machine, error))
      }
      reject(
        connection.ended() ??
          new SessionRefused(
            'failed',
            `${machine} refused to run a command over SSH: ${error.message}`,
            {
              machine,
              hint: 'check MaxSessions, ForceCommand and PermitTTY in sshd_config on the host',
              cause: error,
            },
          ),
      )
    })
  })
}

const agentRefused = (machine: string, cause: Error): UserError =>
  new UserError('failed', `${machine} refused agent forwarding`, {
    machine,
    hint: 'check AllowAgentForwarding and DisableForwarding in sshd_config on the host',
    cause,
  })

const sessionLate = ({ machine }: Connection['endpoint']): UserError =>
  new UserError(
    'unreachable',
    `${machine} did not open a session within ${openTimeoutMs / 1000} s`,
    {
      machine,
      hint: "the SSH server may be overloaded: try again, or check the host's console",
    },
  )

const noReactionError = ({ machine }: Connection['endpoint']): UserError =>
  new UserError(
    'unreachable',
    `${machine} does not respond, and the command could not be stopped`,
    {
      machine,
      hint: `remote commands may still be running; to show the state of ${machine}: fleet status ${machine}`,
    },
  )

/** Sends requests to the command of a channel while the channel is open. */
const requestsOf = (channel: ClientChannel): Pick<RunningCommand, 'kill' | 'resize'> => ({
  kill(signal) {
    const open = requestsOver(channel)
    open?.protocol.signal(open.id, signal)
  },
  resize({ rows, columns }) {
    const open = requestsOver(channel)
    open?.protocol.windowChange(open.id, rows, columns, 0, 0)
  },
})

/** Runs a command line without counting its session, and ignores the result. */
function runUncounted({ client, stream }: Connection, line: string): void {
  if (stream.writable) client.exec(line, (error, channel) => error ?? channel.resume())
}

/** Copies an output to a separate stream, whose reader may stop at any time without blocking the channel. */
function outputOf(
  source: Readable,
  output: Transform = new PassThrough({ highWaterMark: bufferSize }),
): Readable {
  source.pipe(output)
  output.once('close', () => source.resume())
  return output
}

/** Connections whose login shell is known to be csh. */
const cshConnections = new WeakSet<Connection>()

/** Starts a command. Rejects with {@link SessionRefused} if there are too many sessions. */
export async function startCommand(
  connection: Connection,
  command: CommandLine,
  { terminal, signal, forwardAgent = false }: ExecOptions,
  agent: AgentForwarding,
): Promise<Session> {
  const { machine, user } = connection.endpoint
  const endForwarding = forwardAgent ? agent.allow() : () => {}
  const marked = user === 'root' ? markCommand(command, cshConnections.has(connection)) : undefined
  const pty = terminal && { rows: terminal.rows, cols: terminal.columns, term: terminal.type }
  const line = marked?.line ?? loginShellLine(command)
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(sessionLate(connection.endpoint)), openTimeoutMs)
  const opening = signal ? AbortSignal.any([signal, late.signal]) : late.signal
  const { channel, closed, status } = await openSession(connection, line, {
    ...(pty && { pty }),
    agentForward: forwardAgent,
    signal: opening,
  })
    .catch((error: unknown) => {
      endForwarding()
      throw error
    })
    .finally(() => clearTimeout(timer))
  void closed.then(endForwarding)
  const { kill: request, resize } = requestsOf(channel)
  const noReaction = new AbortController()
  const kill = (name: string) => {
    if (marked) runUncounted(connection, marked.signalLine(name))
    else request(name)
    const giveUp = setTimeout(
      () => noReaction.abort(noReactionError(connection.endpoint)),
      signalTimeoutMs,
    )
    void Promise.race([connection.settled(), closed]).then(() => clearTimeout(giveUp))
  }
  const stdin = new PassThrough({ highWaterMark: bufferSize })
  const cshErrorFilter = () =>
    new WithoutCshError(() => void cshConnections.add(connection), bufferSize)
  const stdout = outputOf(channel, marked && terminal ? cshErrorFilter() : undefined)
  const stderr = outputOf(channel.stderr, marked && !terminal ? cshErrorFilter() : undefined)
  stdin.pipe(channel)
  channel.on('error', () => stdin.destroy()) // the command ended while its input was being written

  const aborted = new Promise<never>((_resolve, reject) => {
    const drop = (reason: unknown) => {
      channel.close()
      for (const stream of [stdin, stdout, stderr]) stream.destroy()
      reject(reason)
    }
    noReaction.signal.addEventListener('abort', () => drop(noReaction.signal.reason), {
      once: true,
    })
    const abort = () => {
      kill('TERM')
      drop(signal?.reason)
    }
    if (signal?.aborted) abort()
    signal?.addEventListener('abort', abort, { once: true })
    void closed.then(() => signal?.removeEventListener('abort', abort))
  })
  const ended = async (): Promise<ExitStatus> => {
    await closed
    stdin.destroy()
    await Promise.all([outputDelivered(stdout), outputDelivered(stderr)])
    const known = status()
    if (known) return known
    throw (
      connection.ended() ??
      new UserError('failed', `the command on ${machine} ended without an exit code`, {
        machine,
        hint: `sshd or the shell on ${machine} may have been killed; check the host's system log, or try again`,
      })
    )
  }
  const exit = Promise.race([ended(), aborted])
  exit.catch(() => {}) // not every caller waits for the exit status
  return {
    command: { stdin, stdout, stderr, exit, kill, resize },
    over: closed.then(() => connection.settled()), // sshd counts a session until it sees this side close the channel
  }
}
