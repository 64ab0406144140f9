import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientChannel } from 'ssh2'
import { UserError, codeOf, messageOf } from '../../errors.ts'
import { ignored } from '../../os/trace.ts'
import { createAgentForwarding } from './agent-forwarding.ts'
import { startDeadline } from './connect-deadline.ts'
import {
  ClosedEarly,
  ConnectTimeout,
  EndlessBanner,
  NotSsh,
  explainFailure,
  isTooManyFailures,
  quoteServer,
  type Failure,
  type Stage,
  isUnresolved,
} from './connection-errors.ts'
import { failureOf, openStream } from './connect-with-retry.ts'
import { type SshOptions, type SshTarget, openTransport } from './connect.ts'
import { HandshakeError, HostKeyRefused, LoginRefused, handshake } from './handshake.ts'
import { HostKeyChanged, hostKeyMissing, hostKeyRevoked } from './host-keys/host-key-errors.ts'
import { findRevokedKeys } from './host-keys/known-hosts.ts'
import { type Connection, watchConnection } from './connection.ts'
import { KeyAnswers } from './login/key-answers.ts'
import { logIn } from './login/login-attempts.ts'
import {
  type LoginReport,
  loginRejected,
  newLoginReport,
  refusedAfterKey,
} from './login/login-errors.ts'
import type { UserAuth } from './login/userauth-protocol.ts'
import { ProxyCommandEnded } from './proxy-command.ts'
import { listenOnHost } from './remote-listener.ts'
import { serverReleaseOf } from './ssh2-internals.ts'
import type { Transport } from '../transport.ts'

/** The steps of a login, in order. */
type LoginStep = 'name' | 'route' | 'port' | 'banner' | 'key-exchange' | 'host-key' | 'login'

/** The failure of a login. */
export interface LoginFailure {
  readonly step: LoginStep
  /**
   * `closed`: the server closed the connection; `refused`: nothing is listening on the port, or a firewall rejects the
   * connection; `silent`: there was no answer in time; `early`: the server accepted a key and then closed the
   * connection; `other`: see the message.
   */
  readonly reason: 'closed' | 'refused' | 'silent' | 'no-route' | 'not-ssh' | 'early' | 'other'
  /** The message for the user, the same as in the errors that `connectSsh` throws. */
  readonly message: string
  readonly hint?: string | undefined
  /** The text that the server sent instead of its version, on one line. */
  readonly printed: string
}

/** The report of one login. */
export interface LoginTrial {
  readonly address: string
  readonly port: number
  readonly user: string
  /** The addresses to which the host's name resolves; empty if this computer does not look up the name. */
  readonly addresses: readonly string[]
  /** Whether a proxy program is used. */
  readonly byProgram: boolean
  /** The fingerprint of the key that is known to work. */
  readonly wanted?: string | undefined
  /** The release of the server, such as `OpenSSH_9.2p1`. */
  readonly release?: string | undefined
  /** The keys that were offered, and the server's answers. */
  readonly keys: LoginReport
  /** The key that the server accepted: its fingerprint and origin. */
  readonly accepted?: string | undefined
  readonly failure?: LoginFailure | undefined
}

/**
 * How many sessions a server opened, and how many it refused. Requests that were not answered in time are not counted.
 */
export interface SessionCount {
  readonly opened: number
  readonly refused: number
}

/** The report of a login, and the connection, which is left open if the login succeeded. */
export interface OpenTrial {
  readonly trial: LoginTrial
  readonly transport?: Transport | undefined
  /** Opens `most` sessions at the same time and counts the answers. Not available with OpenSSH's client. */
  readonly countSessions?:
    | ((most: number, signal: AbortSignal) => Promise<SessionCount>)
    | undefined
}

/**
 * How long a host may take to accept a connection and send its version, and then to complete the login, in
 * milliseconds.
 */
const [connectMs, loginMs] = [8_000, 15_000]
/** The pauses between attempts if the server closes connections before the login, in milliseconds. */
const closedWaits = [300, 900, 2_000]

/** How long a DNS lookup may take, in milliseconds. */
const lookUpMs = 5_000

const reasonOf = (error: unknown): LoginFailure['reason'] => {
  const code = codeOf(error) ?? ''
  if (error instanceof ConnectTimeout || code === 'ETIMEDOUT') return 'silent'
  if (code === 'ECONNREFUSED') return 'refused'
  if (['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN'].includes(code)) return 'no-route'
  if (error instanceof NotSsh) return 'not-ssh'
  if (/lost before handshake/.test(messageOf(error))) return 'closed'
  if (error instanceof ClosedEarly || code === 'ECONNRESET' || code === 'EPIPE') return 'closed'
  return 'other'
}

const stepOf: Readonly<Record<Stage, LoginStep>> = {
  connecting: 'port',
  greeting: 'banner',
  agreeing: 'key-exchange',
  login: 'login',
}

/** Describes the failure of a login that threw `error`. */
function describeFailure(error: unknown, step: LoginStep, printed = ''): LoginFailure {
  const { message, hint } =
    error instanceof UserError ? error : { message: String(error), hint: '' }
  return { step, reason: reasonOf(error), message, hint: hint || undefined, printed }
}

/** Describes the failure of a connection. `explained` is the error for the user. */
export function describeConnection(
  explained: unknown,
  failure: Failure,
  printed = '',
): LoginFailure {
  const { stage, error, proxy } = failure
  const isProgram =
    proxy !== undefined &&
    (stage === 'connecting' || (stage === 'greeting' && error instanceof ProxyCommandEnded))
  const step = isUnresolved(failure) ? 'name' : stepOf[stage]
  const reason = error instanceof EndlessBanner ? 'other' : reasonOf(error)
  return { ...describeFailure(explained, isProgram ? 'route' : step, printed), reason }
}

async function lookUp(address: string): Promise<readonly string[]> {
  if (isIP(address.replace(/%.*$/, '')) !== 0) return []
  const late = sleep(lookUpMs, undefined, { ref: false }).then(() => {
    throw Object.assign(new Error('the DNS server did not answer'), { code: 'EAI_AGAIN' })
  })
  const found = await Promise.race([lookup(address, { all: true }), late])
  return found.map((one) => one.address)
}

/** Opens `most` sessions on a connection at the same time, counts them and closes them. */
async function openSessions(
  { client }: Connection,
  most: number,
  signal: AbortSignal,
): Promise<SessionCount> {
  const opened: ClientChannel[] = []
  let refused = 0
  const one = () =>
    new Promise<void>((resolve) => {
      client.exec('cat', (error, channel) => {
        if (error === undefined) {
          channel.on('error', () => {}).resume()
          channel.stderr.resume()
          opened.push(channel)
        } else refused += 1
        resolve()
      })
    })
  const late = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  try {
    await Promise.race([Promise.all(Array.from({ length: most }, one)), late])
    return { opened: opened.length, refused }
  } finally {
    for (const channel of opened) channel.close()
  }
}

/**
 * Logs in over a new connection and reports each step. Never prompts the user, and never throws because of the host's
 * behavior. Takes the same steps as `connectSsh`.
 */
export async function tryLogin(
  given: SshTarget,
  { env, signal: caller }: Pick<SshOptions, 'env'> & { readonly signal: AbortSignal },
): Promise<OpenTrial> {
  let target = given
  let addresses: readonly string[] = []
  let report = newLoginReport()
  const answers = new KeyAnswers()
  const result = (more: Partial<LoginTrial>): LoginTrial => ({
    ...{ address: target.address, port: target.port, user: target.user, addresses },
    byProgram: target.proxyCommand !== undefined,
    keys: report,
    wanted: target.key,
    accepted: answers.acceptedKey?.name,
    ...more,
  })
  const failed = (failure: LoginFailure, release?: string): OpenTrial => ({
    trial: result({ failure, release }),
  })

  try {
    const { resolveTarget } = await import('./config/resolve-target.ts')
    target = await resolveTarget(given, env)
  } catch (error) {
    return failed(describeFailure(error, 'route'))
  }
  const { address, port, user, hostKeys, via, proxyCommand, settings = {} } = target
  const isDirect = via === undefined && proxyCommand === undefined
  if (isDirect) {
    try {
      addresses = await lookUp(address)
    } catch (error) {
      const { error: explained } = explainFailure({ stage: 'connecting', error }, target)
      return failed(describeFailure(explained, 'name'))
    }
  }
  if (hostKeys.length === 0) return failed(describeFailure(hostKeyMissing(target), 'host-key'))
  const revoked = await findRevokedKeys({ address, port, ...settings.knownHosts }, env)

  /** Attempts the login once. */
  async function attempt(): Promise<OpenTrial | 'continue'> {
    const firstMs = proxyCommand === undefined ? connectMs : loginMs * 3
    using deadline = startDeadline(firstMs, caller)
    let stream: Awaited<ReturnType<typeof openStream>> | undefined
    report = newLoginReport()
    answers.startConnection()
    const credentials = {
      ...{ user, host: address, key: target.key, env, settings },
      identityFiles: target.identityFiles,
      certificateFiles: target.certificateFiles ?? [],
      agent: target.agent === undefined ? env['SSH_AUTH_SOCK'] : target.agent.socket,
      ...{ pauseDuring: deadline.pauseDuring, signal: deadline.signal },
    }
    try {
      const route = { via, settings, proxy: proxyCommand && { command: proxyCommand, env } }
      const endpoint = { ...target, isNew: false }
      stream = await openStream(
        { endpoint, ...route, judge: unused, handshake: unused },
        deadline.signal,
      )
      const client = await handshake(stream, {
        ...{ user, pinned: hostKeys, settings, signal: deadline.signal },
        verify: (key) => hostKeys.includes(key) && !revoked.some((line) => line.key === key),
        greeted: () => deadline.restart(loginMs),
        logIn: (auth: UserAuth) => logIn(credentials, report, auth, answers),
        onBanner: (text) => (report.banner = (report.banner + text).slice(0, 4_096)),
      })
      const connection = watchConnection(client, stream, { ...target, alive: settings.alive })
      const transport = openTransport(connection, {
        agent: createAgentForwarding(connection.client, target.machine, undefined),
        listen: (at, take) => listenOnHost(connection, at, take),
      })
      transport.lost.catch(ignored('ssh', `keep the connection to ${target.machine}`))
      return {
        trial: result({ release: serverReleaseOf(client) }),
        transport,
        countSessions: (most, signal) => openSessions(connection, most, signal),
      }
    } catch (thrown) {
      caller.throwIfAborted()
      const failure = failureOf(thrown, stream)
      const { error } = failure
      if (isTooManyFailures(error) || error instanceof ClosedEarly) {
        if (answers.canContinue(isTooManyFailures(error))) return 'continue'
      }
      const server = thrown instanceof HandshakeError ? thrown : { printed: '', release: undefined }
      const printed = quoteServer(server.printed)
      const known = describeKnown(error)
      if (known !== undefined) {
        const reason = error instanceof ClosedEarly ? 'early' : 'other'
        return failed({ ...known, reason }, server.release)
      }
      const { error: explained } = explainFailure(failure, target)
      return failed(describeConnection(explained, failure, printed), server.release)
    }
  }

  /** Describes a rejected host key or login; undefined for other errors. */
  function describeKnown(error: unknown): LoginFailure | undefined {
    if (error instanceof HostKeyRefused) {
      const line = revoked.find(({ key }) => key === error.hostKey)
      const refusal =
        line === undefined
          ? new HostKeyChanged(target, hostKeys, error.hostKey)
          : hostKeyRevoked(target, line)
      return describeFailure(refusal, 'host-key')
    }
    if (error instanceof LoginRefused)
      return describeFailure(loginRejected(target, report), 'login')
    const early = refusedAfterKey(target, error, { report, key: answers.acceptedKey?.name })
    return early && describeFailure(early, 'login')
  }

  for (let tries = 0; ;) {
    const tried = await attempt()
    if (tried === 'continue') continue
    const { failure } = tried.trial
    const wait = closedWaits[tries]
    const isPassing = failure?.reason === 'closed' && failure.step !== 'login'
    if (!isPassing || wait === undefined) return tried
    tries += 1
    await sleep(wait, undefined, { signal: caller })
  }
}

/** A placeholder: {@link openStream} needs no handshake. */
const unused = (): never => {
  throw new Error('opening a stream must not start a handshake')
}
