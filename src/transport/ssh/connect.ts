import { type AgentForwarding, createAgentForwarding } from './agent-forwarding.ts'
import { startDeadline } from './connect-deadline.ts'
import { findRevokedKeys } from './host-keys/known-hosts.ts'
import { createSessionSlots } from '../channel-limit.ts'
import { type Prompt, logIn } from './login/login-attempts.ts'
import { type Attempt, connectWithRetry } from './connect-with-retry.ts'
import { SessionRefused, startCommand } from './exec.ts'
import { ClosedEarly, isTooManyFailures } from './connection-errors.ts'
import { HostKeyChanged, hostKeyMissing, hostKeyRevoked } from './host-keys/host-key-errors.ts'
import {
  loginRejected,
  newLoginReport,
  noKerberosTicket,
  refusedAfterKey,
} from './login/login-errors.ts'
import { HostKeyRefused, LoginRefused } from './handshake.ts'
import { KeyAnswers } from './login/key-answers.ts'
import { flushEagerly } from './flush.ts'
import { type Connection, watchConnection } from './connection.ts'
import type { ProxyCommand } from './proxy-command.ts'
import type { SshSettings } from './config/settings.ts'
import type { UserAuth } from './login/userauth-protocol.ts'
import { listenOnHost } from './remote-listener.ts'
import { openSocket } from './channel-socket.ts'
import type { CommandLine, ExecOptions, RunningCommand, Transport } from '../transport.ts'
import { ignored } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

export type { ProxyCommand } from './proxy-command.ts'
export type { Prompt, Question } from './login/login-attempts.ts'

/** `builtin`: fleet's own client; `openssh`: the program ssh of this computer. */
export type SshClient = 'builtin' | 'openssh'

/** A host to log in to. */
export interface SshTarget {
  /** What messages call it. */
  readonly machine: string
  readonly address: string
  readonly port: number
  readonly user: string
  /** The only keys that the host may show, as `TYPE BASE64`. */
  readonly hostKeys: readonly string[]
  /** Key files to try first, in order: the machine's own, then those of the configuration. */
  readonly identityFiles: readonly string[]
  /** The fingerprint (`SHA256:…`) of the key that is known to work, which an agent may hold. */
  readonly key?: string | undefined
  /** Certificates to offer with the keys that they are of, besides those that lie beside their keys. */
  readonly certificateFiles?: readonly string[] | undefined
  /** The agent in place of that of SSH_AUTH_SOCK; without a socket: none. */
  readonly agent?: { readonly socket?: string | undefined } | undefined
  /** The client to use; absent: fleet's own where it can log in. */
  readonly client?: SshClient | undefined
  /** A jump host: its transport is left open. */
  readonly via?: Transport | undefined
  /** A program that carries the connection in place of TCP. It never comes from machines.yaml. */
  readonly proxyCommand?: ProxyCommand | undefined
  /** The host in the user's SSH configuration, which is read when the connection is opened. */
  readonly alias?: SshAlias | undefined
  /** The host whose settings in the user's SSH configuration were applied. */
  readonly destination?: string | undefined
  /** Settings of the user's SSH configuration. */
  readonly settings?: SshSettings | undefined
}

/** A host of the user's SSH configuration. */
export interface SshAlias {
  /** `[user@]host[:port]`, as it was typed. */
  readonly destination: string
  /** The state of the configuration: when it has changed, another connection is opened. */
  readonly stamp?: string | undefined
  /** What `ssh -G` prints for it, where ssh was asked already. */
  readonly answer?: readonly string[] | undefined
}

export interface SshOptions {
  readonly signal?: AbortSignal | undefined
  /** For all attempts together, without the time a person takes to answer (default: 10 s, or 30 s with a program). */
  readonly connectTimeoutMs?: number | undefined
  /** From a host's greeting on, for the rest of an attempt; unless told, what is left of `connectTimeoutMs`. */
  readonly loginTimeoutMs?: number | undefined
  /** Absent: nobody is there to ask. */
  readonly prompt?: Prompt | undefined
  /** Called with the fingerprint of the key that the host accepted. Not called for other logins. */
  readonly onKeyLogin?: ((fingerprint: string) => void) | undefined
  /** Where SSH_AUTH_SOCK and HOME are looked up. A program that carries the connection gets all of it. */
  readonly env: Environment
}

/** How much of a server's banner is kept, in characters. */
const longestBanner = 4_096
/** sshd's MaxSessions is 10; the rest is for others who share the connection. */
const sessionLimit = 8
/** How long an SSH server may take to count a session that has ended no longer, in milliseconds. */
const releaseMs = 5_000
const defaultConnectTimeoutMs = 10_000
/** Programs such as `aws ssm start-session` take several seconds to set up their tunnel. */
export const proxyConnectTimeoutMs = 30_000

type Route = Pick<SshTarget, 'address' | 'port' | 'via' | 'proxyCommand' | 'settings'>

/** How long to connect and log in to a host, in milliseconds. */
export const timeoutOf = ({ proxyCommand, settings }: Route): number =>
  settings?.connectTimeoutMs ??
  (proxyCommand === undefined ? defaultConnectTimeoutMs : proxyConnectTimeoutMs)

/** How the bytes get to the host. */
const routeOf = (
  { via, proxyCommand, settings }: Route,
  env: SshOptions['env'],
): Pick<Attempt, 'via' | 'proxy' | 'settings'> => ({
  ...{ via, settings },
  proxy: proxyCommand && { command: proxyCommand, env },
})

async function applySshConfig(target: SshTarget, env: SshOptions['env']): Promise<SshTarget> {
  if (target.alias === undefined) return target
  const { resolveTarget } = await import('./config/resolve-target.ts')
  return resolveTarget(target, env)
}

/** What a client can do besides commands and connections. */
interface Abilities {
  readonly agent: AgentForwarding
  readonly listen: Transport['listen']
}

/** The transport over a connection that is logged in. */
export function openTransport(connection: Connection, { agent, listen }: Abilities): Transport {
  const takeSlot = createSessionSlots(sessionLimit)
  const flush = flushEagerly(connection)

  let lastEnd = -Infinity

  /** Starts a command; again where the server may not have counted down a session that has just ended. */
  async function start(command: CommandLine, options: ExecOptions) {
    const wasFull = performance.now() - lastEnd < releaseMs
    try {
      return await startCommand(connection, command, options, agent)
    } catch (error) {
      if (!(error instanceof SessionRefused && wasFull)) throw error
      return await startCommand(connection, command, options, agent)
    }
  }

  async function exec(command: CommandLine, options: ExecOptions = {}): Promise<RunningCommand> {
    const slot = await takeSlot(options.signal)
    try {
      options.signal?.throwIfAborted()
      const session = await start(command, options)
      flush.end()
      void session.over.then(() => {
        lastEnd = performance.now()
        slot.give()
      })
      return session.command
    } catch (error) {
      if (!(error instanceof SessionRefused)) slot.give()
      else if (slot.refuse()) return await exec(command, options)
      throw error
    }
  }

  return {
    exec,
    async dial(address) {
      if (flush.begin()) exec(['true']).catch(ignored('ssh', 'open a session after login')) // a host without sessions may still forward
      return await openSocket(connection, address)
    },
    listen,
    lost: connection.lost,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  }
}

/**
 * Connects and logs in. The host must show one of the pinned keys: another one, or none pinned, is
 * `host-key`; a login that is turned down `credentials`; every other failure `unreachable`.
 */
export async function connectSsh(given: SshTarget, options: SshOptions): Promise<Transport> {
  if (given.hostKeys.length === 0) throw hostKeyMissing(given)
  const target = await applySshConfig(given, options.env)
  const { hostKeys, user, settings = {} } = target
  const { prompt, signal: caller, connectTimeoutMs = timeoutOf(target) } = options
  const { loginTimeoutMs, onKeyLogin } = options
  const { address, port } = target
  const revoked = await findRevokedKeys({ address, port, ...settings.knownHosts }, options.env)
  using deadline = startDeadline(connectTimeoutMs, caller)
  const credentials = {
    user,
    host: target.address,
    identityFiles: target.identityFiles,
    certificateFiles: target.certificateFiles ?? [],
    key: target.key,
    agent: target.agent === undefined ? options.env['SSH_AUTH_SOCK'] : target.agent.socket,
    ...{ env: options.env, settings },
    ...{ pauseDuring: deadline.pauseDuring, signal: deadline.signal },
    prompt:
      prompt && (((question) => deadline.whileAsking(() => prompt(question))) satisfies Prompt),
  }
  const greeted = () => loginTimeoutMs !== undefined && deadline.restart(loginTimeoutMs)
  let report = newLoginReport()
  const answers = new KeyAnswers()
  const handshake = () => {
    report = newLoginReport()
    answers.startConnection()
    const verify = (key: string) =>
      hostKeys.includes(key) && !revoked.some((line) => line.key === key)
    return {
      ...{ user, pinned: hostKeys, verify, greeted, settings },
      logIn: (auth: UserAuth) => logIn(credentials, report, auth, answers),
      onBanner: (text: string) => {
        report.banner = (report.banner + text).slice(0, longestBanner)
      },
    }
  }
  const judge = (error: unknown) => {
    if (error instanceof LoginRefused) {
      // With a ticket, the other client would have been chosen.
      if (settings.kerberos === true) report.kerberos = noKerberosTicket
      return loginRejected(target, report)
    }
    if (error instanceof HostKeyRefused) {
      const line = revoked.find(({ key }) => key === error.hostKey)
      if (line !== undefined) return hostKeyRevoked(target, line)
      return new HostKeyChanged(target, hostKeys, error.hostKey)
    }
    return refusedAfterKey(target, error, { report, key: answers.acceptedKey?.name })
  }
  const canContinue = (error: unknown) =>
    isTooManyFailures(error) || error instanceof ClosedEarly
      ? answers.canContinue(isTooManyFailures(error))
      : false
  const route = routeOf(target, options.env)
  const attempt = { endpoint: target, ...route, handshake, judge, canContinue, caller }
  const { client, stream } = await connectWithRetry(attempt, deadline.signal)
  const { acceptedKey } = answers
  if (acceptedKey !== undefined) onKeyLogin?.(acceptedKey.fingerprint)
  const connection = watchConnection(client, stream, { ...target, alive: settings.alive })
  return openTransport(connection, {
    agent: createAgentForwarding(connection.client, connection.endpoint.machine, credentials.agent),
    listen: (address, take) => listenOnHost(connection, address, take),
  })
}

async function* noAttempts() {}

/** A handshake that ends where the host has shown its key. */
const showKey = () => ({
  user: '',
  pinned: [],
  verify: () => false,
  logIn: noAttempts,
})
const keyShown = (error: unknown) => (error instanceof HostKeyRefused ? error : undefined)

/** Reads a host's key, `TYPE BASE64`, ed25519 where it has one. Nothing is told to the host and nothing trusted. */
export async function scanHostKey(
  given: Route & Pick<Partial<SshTarget>, 'user' | 'alias' | 'destination'>,
  options: Pick<SshOptions, 'signal' | 'connectTimeoutMs' | 'env'>,
): Promise<string> {
  const unnamed = { machine: given.address, user: '', hostKeys: [], identityFiles: [] }
  const target = await applySshConfig({ ...unnamed, ...given }, options.env)
  const { address, port, destination, settings } = target
  const { signal: caller, connectTimeoutMs = timeoutOf(target) } = options
  using deadline = startDeadline(connectTimeoutMs, caller)
  const endpoint = { machine: address, address, port, destination, user: '', isNew: true }
  const route = routeOf(target, options.env)
  const handshake = () => ({ ...showKey(), settings })
  const attempt = { endpoint, ...route, handshake, judge: keyShown, caller }
  try {
    await connectWithRetry(attempt, deadline.signal)
  } catch (error) {
    if (error instanceof HostKeyRefused) return error.hostKey
    throw error
  }
  throw new Error(`${address} accepted a login before its host key was verified`)
}
