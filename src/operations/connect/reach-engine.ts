import { Duplex } from 'node:stream'
import type { Dial } from '../../engine/engine.ts'
import { UserError, codeOf } from '../../errors.ts'
import { readBeginning } from '../../transport/run.ts'
import { quoteServer } from '../../transport/ssh/connection-errors.ts'
import type { Transport } from '../../transport/transport.ts'
import {
  type CommandUser,
  type RelayCommand,
  type RelayAttempt,
  startRelay,
  pingThroughRelay,
} from './relay-command.ts'

/**
 * How to reach an engine: through its socket, or with a docker command on the host that runs as the login user or as
 * root.
 */
type EngineRoute = 'socket' | CommandUser

/** The most recent route by which the engine was reached. */
export interface EngineCache {
  route?: EngineRoute | undefined
}

/**
 * Opens connections to the engine that listens on `socketPath` of a host: to the socket itself, or, if the host refuses
 * that, through a docker command on the host, with sudo if needed. The route that worked is kept in `cache`. Throws
 * kind `failed` with the reason when no route works.
 */
export function dialEngine(
  transport: Transport,
  socketPath: string,
  machine: string,
  cache: EngineCache = {},
): Dial {
  const { relay } = transport
  if (relay) {
    const direct = (own: Transport) => dialEngine(own, socketPath, machine, cache)()
    return () => relay.dialEngine(socketPath, direct)
  }
  let search: Promise<CommandUser> | undefined
  const byCommand = async (route: CommandUser): Promise<Duplex> =>
    openRelay(transport, { socketPath, machine, route, failed: () => (cache.route = undefined) })
  return async () => {
    const { route = 'socket' } = cache
    if (route !== 'socket') return byCommand(route)
    try {
      const connection = await transport.dial({ path: socketPath })
      cache.route = 'socket'
      return connection
    } catch (error) {
      if (codeOf(error) !== 'REFUSED') throw error
    }
    search ??= findRelayUser(transport, socketPath, machine).finally(() => (search = undefined))
    const found = await search
    cache.route = found
    return byCommand(found)
  }
}

/** Finds out which user can connect to the engine with a docker command on the host. */
async function findRelayUser(
  transport: Transport,
  path: string,
  machine: string,
): Promise<CommandUser> {
  const attempts: RelayAttempt[] = []
  for (const route of ['user', 'root'] as const) {
    const attempt = await withTimeout(machine, silentEngine, (signal) =>
      pingThroughRelay(transport, path, route, { signal }),
    )
    if (attempt.answered) return route
    attempts.push(attempt)
  }
  throw relayError(attempts, path, machine)
}

interface Relay {
  readonly socketPath: string
  readonly machine: string
  readonly route: CommandUser
  /** Called when the command fails. */
  readonly failed: () => void
}

/**
 * Starts the docker command on the host, and returns it as a connection to the engine. Closing the connection ends the
 * command.
 */
async function openRelay(
  transport: Transport,
  { socketPath, machine, route, failed }: Relay,
): Promise<Duplex> {
  const ending = new AbortController()
  const running = await withTimeout(machine, sessionsBusy, (signal) => {
    signal.addEventListener('abort', () => ending.abort(signal.reason), { once: true })
    return startRelay(transport, socketPath, route, { signal: ending.signal })
  })
  const connection = joinStreams(running, () => ending.abort())
  Promise.all([running.exit, readBeginning(running.stderr)]).then(
    ([status, words]) => {
      const ended = 'code' in status && status.code === 0
      if (!ended) failed()
      const why = quoteServer(words) || 'the docker command on the host exited unexpectedly'
      if (ended) connection.push(null)
      else connection.destroy(new UserError('failed', why, { machine }))
    },
    (error: Error) => connection.destroy(error),
  )
  return connection
}

/**
 * Combines the input and output of a command into one connection. The end of the output does not end the connection,
 * since it may mean that the command failed; the caller decides. `close` is called when the connection is closed.
 */
function joinStreams({ stdin, stdout }: RelayCommand, close: () => void): Duplex {
  const connection = new Duplex({
    allowHalfOpen: false,
    read: () => void stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => void stdin.write(chunk, done),
    final: (done) => (stdin.destroyed ? done() : void stdin.end(done)),
    destroy(error, done) {
      close()
      done(error)
    },
  })
  const fail = (error: Error) => connection.destroy(error)
  stdin.on('error', fail)
  stdout.on('data', (chunk) => connection.push(chunk) || stdout.pause()).on('error', fail)
  return connection
}

/** How long a command may take to start, and how long an engine may take to answer through it, in milliseconds. */
const timeoutMs = 10_000

async function withTimeout<T>(
  machine: string,
  tooLate: (machine: string) => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = tooLate(machine)
      reject(error)
      ending.abort(error)
    }, timeoutMs)
  })
  return Promise.race([work(ending.signal), expired]).finally(() => clearTimeout(timer))
}

/**
 * A command waits for a free session of the SSH server. If all sessions are used by streams that never end, it would
 * wait forever.
 */
const sessionsBusy = (machine: string): UserError =>
  new UserError('failed', 'the SSH server does not allow more sessions on this connection', {
    machine,
    hint: 'select fewer containers, or add the user to the docker group on the host, so that fleet can use the engine socket directly',
  })

const silentEngine = (machine: string): UserError =>
  new UserError('failed', `the engine did not answer within ${timeoutMs / 1000} s`, {
    machine,
    hint: `the engine may be overloaded or hung; to see its log: fleet ssh ${machine} -- sudo journalctl -u docker -n 50`,
  })

/** The exit code of a shell, or of env(1), when a command is not found. */
const notFound = 127
const notRunning = /connect: (?:no such file or directory|connection refused)|daemon running\?/
const denied = /permission denied/
const requiresTty = /must have a tty|no tty present|terminal is required/i

/** The error for an engine that cannot be reached, either as the login user or with sudo. */
function relayError([asUser, asRoot]: RelayAttempt[], path: string, machine: string): UserError {
  const tried = [asUser, asRoot].filter((attempt) => attempt !== undefined)
  if (!tried.some(({ wasRun }) => wasRun)) {
    const words = quoteServer(asUser?.words ?? '')
    const result = words === '' ? `exited with code ${asUser?.code}` : `printed: ${words}`
    return new UserError(
      'failed',
      `the host ran another command instead of docker, and that command ${result}`,
      {
        machine,
        hint: 'allow the user to run docker or to forward the engine socket: the user is restricted to one command (command= in authorized_keys or ForceCommand in sshd_config), or has no login shell',
      },
    )
  }
  if (tried.some(({ words }) => notRunning.test(words))) {
    return new UserError('failed', `the engine is not running: nothing is listening on ${path}`, {
      machine,
      hint: `to repair the engine: fleet provision ${machine}`,
    })
  }
  if (asUser?.code === notFound) {
    return new UserError('failed', 'Docker is not installed', {
      machine,
      hint: `to install Docker: fleet provision ${machine}`,
    })
  }
  if (denied.test(asUser?.words ?? '')) {
    const requiresTerminal = requiresTty.test(asRoot?.words ?? '')
    const sudo = requiresTerminal ? ', and sudo requires a terminal (requiretty)' : ''
    return new UserError(
      'failed',
      `the user does not have permission to use the engine socket ${path}${sudo}`,
      {
        machine,
        hint: requiresTerminal
          ? 'add the user to the docker group on the host, or add this line to sudoers on the host: Defaults:USER !requiretty'
          : `add the user to the docker group, for example with fleet provision ${machine}, or allow the user to use sudo without a password`,
      },
    )
  }
  const words = tried.map((attempt) => quoteServer(attempt.words)).find((said) => said !== '')
  const why = words ?? `docker system dial-stdio exited with code ${asUser?.code}`
  return new UserError('failed', `cannot connect to the engine: ${why}`, {
    machine,
    hint: 'allow the user to forward the engine socket (AllowStreamLocalForwarding in sshd_config on the host) or to run "docker system dial-stdio"',
  })
}
