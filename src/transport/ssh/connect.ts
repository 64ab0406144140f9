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

/** The SSH client: fleet's own (`builtin`), or the `ssh` program of this computer (`openssh`). */
export type SshClient = 'builtin' | 'openssh'

/** A host to log in to. */
export interface SshTarget {
  /** The name of the machine in messages. */
  readonly machine: string
  readonly address: string
  readonly port: number
  readonly user: string
  /** The only keys that the host may present, as `TYPE BASE64`. */
  readonly hostKeys: readonly string[]
  /** Key files to try first, in order: the machine's own files, then the files from the configuration. */
  readonly identityFiles: readonly string[]
  /** The fingerprint (`SHA256:…`) of the key that is known to work, which an agent may hold. */
  readonly key?: string | undefined
  /** Certificate files, in addition to the `-cert.pub` files next to the key files. */
  readonly certificateFiles?: readonly string[] | undefined
  /** The agent to use instead of the agent of SSH_AUTH_SOCK. If `socket` is undefined, no agent is used. */
  readonly agent?: { readonly socket?: string | undefined } | undefined
  /** The client to use (default: fleet's own, if it can log in). */
  readonly client?: SshClient | undefined
  /** The transport of the jump host. It is left open when the connection is closed. */
  readonly via?: Transport | undefined
  /** A proxy program to connect through instead of TCP. It never comes from machines.yaml. */
  readonly proxyCommand?: ProxyCommand | undefined
  /** The host in the user's SSH configuration, which is read when the connection is opened. */
  readonly alias?: SshAlias | undefined
  /** The host in the user's SSH configuration whose settings have already been applied. */
  readonly destination?: string | undefined
  /** Settings of the user's SSH configuration. */
  readonly settings?: SshSettings | undefined
}

/** A host of the user's SSH configuration. */
export interface SshAlias {
  /** `[user@]host[:port]`, as it was typed. */
  readonly destination: string
  /** Identifies the state of the configuration: after a change, a new connection is opened. */
  readonly stamp?: string | undefined
  /** The output of `ssh -G` for the host, if it is already known. */
  readonly answer?: readonly string[] | undefined
}

export interface SshOptions {
  readonly signal?: AbortSignal | undefined
  /**
   * The time limit for all attempts together, in milliseconds, not counting the time that the user takes to answer
   * prompts (default: `ConnectTimeout` of the SSH configuration; otherwise 10 s, or 30 s with a proxy program).
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * The time limit from the host's greeting to the end of an attempt, in milliseconds (default: the rest of
   * `connectTimeoutMs`).
   */
  readonly loginTimeoutMs?: number | undefined
  /** Prompts the user; absent if there is no user to prompt. */
  readonly prompt?: Prompt | undefined
  /** Called with the fingerprint of the key that the host accepted. Not called if the login did not use a key. */
  readonly onKeyLogin?: ((fingerprint: string) => void) | undefined
  /** The environment, in which SSH_AUTH_SOCK and HOME are looked up. A proxy program inherits all of it. */
  readonly env: Environment
}

/** How much of a server's banner is kept, in characters. */
const longestBanner = 4_096
/**
 * The maximum number of sessions on one connection. sshd allows 10 by default (MaxSessions); the remaining sessions are
 * left for other uses of the connection.
 */
const sessionLimit = 8
/** How long an SSH server may still count a session that has ended, in milliseconds. */
const releaseMs = 5_000
const defaultConnectTimeoutMs = 10_000
/**
 * The default time limit with a proxy program, in milliseconds: programs such as `aws ssm start-session` take several
 * seconds to set up their tunnel.
 */
export const proxyConnectTimeoutMs = 30_000

type Route = Pick<SshTarget, 'address' | 'port' | 'via' | 'proxyCommand' | 'settings'>

/** Returns the default time limit for connecting and logging in to a host, in milliseconds. */
export const timeoutOf = ({ proxyCommand, settings }: Route): number =>
  settings?.connectTimeoutMs ??
  (proxyCommand === undefined ? defaultConnectTimeoutMs : proxyConnectTimeoutMs)

/** Returns the route of a connection: the jump host or proxy program, and the settings for connecting directly. */
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

/** The operations that fleet's own client and OpenSSH's client implement differently. */
interface Abilities {
  readonly agent: AgentForwarding
  readonly listen: Transport['listen']
}

/** Creates the transport of a connection that has logged in. */
export function openTransport(connection: Connection, { agent, listen }: Abilities): Transport {
  const takeSlot = createSessionSlots(sessionLimit)
  const flush = flushEagerly(connection)

  let lastEnd = -Infinity

  /** Starts a command. Tries again if the server may still have counted a session that has just ended. */
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
      // A host that allows no sessions may still allow forwarding.
      if (flush.begin()) exec(['true']).catch(ignored('ssh', 'open a session after login'))
      return await openSocket(connection, address)
    },
    listen,
    lost: connection.lost,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  }
}

/**
 * Connects and logs in with fleet's own client. Throws kind `host-key` if the host does not present one of the pinned
 * keys, or if none is pinned; kind `credentials` if the login is rejected; and kind `unreachable` for all other
 * failures.
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
      // If there were a ticket, the openssh client would have been chosen.
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

/** Returns the parameters of a handshake that ends when the host has presented its key. */
const showKey = () => ({
  user: '',
  pinned: [],
  verify: () => false,
  logIn: noAttempts,
})
const keyShown = (error: unknown) => (error instanceof HostKeyRefused ? error : undefined)

/**
 * Reads the key of a host, as `TYPE BASE64`. Prefers the Ed25519 key if the host has one. Sends no login data, and does
 * not verify the key.
 */
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
