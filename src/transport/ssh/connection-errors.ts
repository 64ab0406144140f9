import { type ErrorKind, UserError, codeOf, messageOf } from '../../errors.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { parseDestination } from './destination.ts'
import { ProxyCommandEnded, withOutput } from './proxy-command.ts'

/** The stage that a connection had reached when it failed. */
export type Stage = 'connecting' | 'greeting' | 'agreeing' | 'login'

/** A failed attempt to connect, with the error from the network or from ssh2. */
export interface Failure {
  readonly stage: Stage
  readonly error: unknown
  /** The proxy program of the connection: its name in messages, the end of its standard error, and a hint. */
  readonly proxy?:
    | { readonly subject: string; readonly output: string; readonly hint?: string | undefined }
    | undefined
}

/** The host of a connection, for messages. */
export interface Endpoint {
  readonly machine: string
  readonly address: string
  readonly port: number
  readonly user: string
  /** The host's name in the user's SSH configuration, as `[user@]host[:port]`. */
  readonly destination?: string | undefined
  /** Whether the host is not in the inventory yet, so that hints cannot name commands for the machine. */
  readonly isNew?: boolean
}

/** Internal: the time limit for connecting was reached. */
export class ConnectTimeout extends Error {
  constructor(seconds: number) {
    super(`no answer within ${seconds} s`)
  }
}

/**
 * Internal: the server closed the connection without an SSH error message. The error's message is the text that the
 * server had sent.
 */
export class ClosedEarly extends Error {}

/** Internal: the service on the port is not an SSH server. The error's message is the text that the service sent. */
export class NotSsh extends Error {}

/** Internal: the server does not stop sending text during the login. */
export class EndlessBanner extends Error {}

/** Thrown for a host that cannot be reached. */
export class ConnectError extends UserError {
  /** The stage that the connection had reached, and the error from the network or from ssh2. */
  readonly failure: Failure

  constructor(
    kind: ErrorKind,
    message: string,
    { failure, ...details }: { failure: Failure; machine: string; hint: string },
  ) {
    super(kind, message, { ...details, cause: failure.error })
    this.failure = failure
  }
}

/** Whether the server disconnected because of too many rejected keys (MaxAuthTries in sshd_config(5)). */
export const isTooManyFailures = (error: unknown): boolean =>
  /too many authentication failures/i.test(messageOf(error))

/** A kind of failure: how to recognize it, and the message and hint to show for it. */
interface Rule {
  readonly when: (failure: Failure) => boolean
  readonly kind: ErrorKind
  readonly why: (endpoint: Endpoint, error: unknown, failure: Failure) => string
  readonly hint: (endpoint: Endpoint, error: unknown, failure: Failure) => string
  /** Whether another attempt is likely to succeed. */
  readonly passing?: true
}

const code =
  (...codes: readonly string[]) =>
  ({ error }: Failure) =>
    codes.includes(codeOf(error) ?? '')
const timeout =
  (stage: Stage) =>
  (failure: Failure): boolean =>
    failure.stage === stage && failure.error instanceof ConnectTimeout
const hasMessage =
  (pattern: RegExp) =>
  ({ error }: Failure) =>
    pattern.test(messageOf(error))

const at = ({ address, port }: Endpoint): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
const look = ({ machine, isNew = false }: Endpoint): string =>
  isNew ? '' : `; to show the host's state: fleet status ${machine}`

/** Returns an `ssh` command line whose output shows the steps of connecting. */
function verboseSsh({ destination, address, ...endpoint }: Endpoint): string {
  const { user, host, port } =
    destination === undefined ? { ...endpoint, host: address } : parseDestination(destination)
  const isUsual = port === undefined || (destination === undefined && port === 22)
  return `ssh -v ${isUsual ? '' : `-p ${port} `}${shellQuote(user ? `${user}@${host}` : host)}`
}

/**
 * Quotes the text that a server sent instead of its version. An overloaded sshd (MaxStartups) reports the overload in
 * that text.
 */
function printedBy(error: unknown): string {
  const isQuote = error instanceof ClosedEarly || error instanceof NotSsh
  const words = isQuote ? quoteServer(error.message) : ''
  return words === '' ? '' : `: ${words}`
}

const noAnswer = 'the host did not answer'

/** Whether a host did not answer at all, as when a firewall drops all packets. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof UserError && error.kind === 'unreachable' && error.message.includes(noAnswer)

const isMissing = (error: unknown): error is ProxyCommandEnded =>
  error instanceof ProxyCommandEnded && 'missing' in error.ending

/** Whether a proxy program failed for a reason that waiting does not resolve. */
export const isPermanent = (error: unknown): boolean =>
  error instanceof UserError && error.cause instanceof ProxyCommandEnded && error.cause.isPermanent

/** Whether the host name of a connection could not be resolved. */
export const isUnresolved = code('ENOTFOUND', 'EAI_AGAIN', 'EAI_NONAME', 'EAI_FAIL')

const rules: readonly Rule[] = [
  {
    when: ({ error }) => isMissing(error),
    kind: 'unreachable',
    why: (_, error) => messageOf(error),
    hint: (_, error) =>
      (isMissing(error) ? error.hint : undefined) ?? 'install the program, or check your PATH',
  },
  {
    when: ({ error }) => error instanceof ProxyCommandEnded,
    kind: 'unreachable',
    why: (_, error) => messageOf(error),
    hint: (endpoint, error) =>
      (error instanceof ProxyCommandEnded ? error.hint : undefined) ??
      `to see the reason, run the program yourself, for example with ${verboseSsh(endpoint)}`,
  },
  {
    when: (failure) =>
      failure.proxy !== undefined &&
      failure.error instanceof ConnectTimeout &&
      failure.stage !== 'login',
    kind: 'unreachable',
    why: (_, error, { proxy }) =>
      withOutput(
        `${proxy?.subject ?? ''} started, but the SSH server gave ${messageOf(error)}`,
        proxy?.output ?? '',
      ),
    hint: (endpoint, _error, { proxy }) =>
      proxy?.hint ??
      `the program may be waiting, for example for a browser login or a network connection; to see the reason, run ${verboseSsh(endpoint)}`,
  },
  {
    when: code('NO_INTERFACE'),
    kind: 'unreachable',
    why: (_, error) => messageOf(error),
    hint: ({ address }) =>
      `in ${address}, the part after % is a network interface on the connecting computer, so it differs between computers. If the host has an address without this part, use that address`,
  },
  {
    when: isUnresolved,
    kind: 'unreachable',
    why: ({ address }) => `cannot resolve the host name ${address}`,
    hint: () => "check the address and this computer's DNS settings",
  },
  {
    when: code('ECONNREFUSED'),
    kind: 'unreachable',
    why: () => 'connection refused',
    hint: (endpoint) => `check that sshd is running and listening on this port${look(endpoint)}`,
  },
  {
    when: code('EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL'),
    kind: 'unreachable',
    why: () => 'no route to the host',
    hint: (endpoint) =>
      `check that the host is running and that this computer is connected to its network or VPN${look(endpoint)}`,
  },
  {
    when: code('EACCES', 'EPERM'),
    kind: 'unreachable',
    why: () => 'this computer blocked the connection',
    hint: () => "check this computer's firewall",
  },
  {
    when: (failure) =>
      code('REFUSED')(failure) && hasMessage(/administratively prohibited/)(failure),
    kind: 'unreachable',
    why: (_, error) => `the jump host refused to forward the connection (${messageOf(error)})`,
    hint: () =>
      'on the jump host, check sshd_config for AllowTcpForwarding and PermitOpen, and authorized_keys for restrict and no-port-forwarding',
  },
  {
    when: code('REFUSED'),
    kind: 'unreachable',
    why: (_, error) => `the jump host cannot connect to the host: ${messageOf(error)}`,
    hint: (endpoint) =>
      `check that the host is running and that the jump host can reach it${look(endpoint)}`,
  },
  {
    when: (failure) => timeout('connecting')(failure) || code('ETIMEDOUT')(failure),
    kind: 'unreachable',
    why: (_, error) => `${noAnswer} (${messageOf(error)})`,
    hint: (endpoint) =>
      `check that the host is running and that its firewall allows connections from this computer${look(endpoint)}`,
  },
  {
    when: timeout('greeting'),
    kind: 'unreachable',
    why: (_, error) =>
      `the host accepts connections but sends no SSH greeting (${messageOf(error)})`,
    hint: () =>
      'the host may be overloaded or still booting; also check that sshd listens on this port',
  },
  {
    when: ({ error }) => error instanceof ConnectTimeout,
    kind: 'unreachable',
    why: (_, error) => `the host stopped answering during login (${messageOf(error)})`,
    hint: () => 'the host may be overloaded: try again, or check its console',
  },
  {
    when: ({ error }) => isTooManyFailures(error),
    kind: 'credentials',
    why: ({ user }) => `the host disconnected ${user} because too many keys were offered`,
    hint: () =>
      'set IdentityFile for this host in ~/.ssh/config, or remove keys from the agent: ssh-add -d FILE',
  },
  {
    when: hasMessage(/no matching (key exchange|host key|cipher|MAC|C->S|S->C)/),
    kind: 'unreachable',
    why: (_, error) =>
      `the SSH server supports no algorithm that fleet accepts (${messageOf(error).replace('Handshake failed: ', '')})`,
    hint: () =>
      'the SSH server is very old or restrictive: update it, or allow more algorithms in sshd_config on the host',
  },
  {
    when: ({ error }) => error instanceof EndlessBanner,
    kind: 'unreachable',
    why: () => 'the SSH server sent too much text during login',
    hint: () => 'check that this is the right host, and check Banner in its sshd_config',
  },
  {
    when: ({ error }) => error instanceof NotSsh,
    kind: 'unreachable',
    why: (_, error) => `the service on this port is not an SSH server${printedBy(error)}`,
    hint: () => 'check the port',
  },
  {
    when: hasMessage(/identification string/i),
    kind: 'unreachable',
    why: () => 'the SSH server does not support version 2 of the SSH protocol',
    hint: () => 'check the port, or update the SSH server',
  },
  {
    when: (failure) =>
      failure.error instanceof ClosedEarly ||
      code('ECONNRESET', 'EPIPE')(failure) ||
      hasMessage(/lost before handshake/)(failure),
    kind: 'unreachable',
    why: (_, error) => `the host closed the connection during the handshake${printedBy(error)}`,
    hint: () =>
      'sshd may be starting, overloaded (MaxStartups) or blocking this computer: try again, or check the sshd log',
    passing: true,
  },
]

/** Creates the error to show for a failed attempt. `passing` tells whether to try again. */
export function explainFailure(
  failure: Failure,
  endpoint: Endpoint,
): { readonly error: unknown; readonly passing: boolean } {
  const { machine } = endpoint
  const rule = rules.find(({ when }) => when(failure))
  if (failure.error instanceof UserError) return { error: failure.error, passing: false }
  const why = rule?.why(endpoint, failure.error, failure) ?? messageOf(failure.error)
  const details = {
    machine,
    hint:
      rule?.hint(endpoint, failure.error, failure) ??
      `try again; for details: ${verboseSsh(endpoint)}`,
    failure,
  }
  const who = endpoint.isNew === true ? at(endpoint) : `${machine} at ${at(endpoint)}`
  const message = `cannot reach ${who}: ${why}`
  return {
    error: new ConnectError(rule?.kind ?? 'unreachable', message, details),
    passing: rule?.passing ?? false,
  }
}

const lossReason = (cause: unknown): string =>
  cause instanceof ProxyCommandEnded ? `: ${cause.message}` : ''

/** Creates the error for an established connection that was lost. */
export const connectionLost = (
  { machine }: Pick<Endpoint, 'machine'>,
  cause?: unknown,
): UserError =>
  new UserError('unreachable', `the connection to ${machine} was lost${lossReason(cause)}`, {
    machine,
    hint: `remote commands may still be running; to show the state of ${machine}: fleet status ${machine}`,
    cause,
  })

/** The maximum length of a quotation from a server, in characters. */
const longestQuote = 300

/** Quotes text from a server: on one line, shortened, and without control characters. The result may be empty. */
export function quoteServer(words: string): string {
  const line = words
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/\p{Cf}/gu, '')
    .trim()
  return line.length > longestQuote ? `${line.slice(0, longestQuote)}…` : line
}
