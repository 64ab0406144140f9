import { type ErrorKind, UserError, codeOf, messageOf } from '../../errors.ts'
import { fingerprint } from './keys/host-keys.ts'
import type { KnownHostKey } from './keys/known-hosts.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** How far a connection had come when it failed. */
export type Stage = 'connecting' | 'greeting' | 'agreeing' | 'login'

/** An attempt to connect that failed, as the network or ssh2 told it. */
export interface Failure {
  readonly stage: Stage
  readonly error: unknown
}

/** Who was to be reached, in words for messages. */
export interface Endpoint {
  readonly machine: string
  readonly address: string
  readonly port: number
  readonly user: string
  /** It is no machine yet, so no command can be told that looks at it. */
  readonly isNew?: boolean
}

/** Thrown inside when the time to connect is over. */
export class ConnectTimeout extends Error {
  constructor(seconds: number) {
    super(`no answer within ${seconds} s`)
  }
}

/** Thrown inside when the other side closed the connection without a word. */
export class ClosedEarly extends Error {}

/** One way to fail: how it is recognised, what is said about it, and what to do next. */
interface Rule {
  readonly when: (failure: Failure) => boolean
  readonly kind: ErrorKind
  readonly why: (endpoint: Endpoint, error: unknown) => string
  readonly hint: (endpoint: Endpoint) => string
  /** Another attempt may well succeed. */
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
const says =
  (pattern: RegExp) =>
  ({ error }: Failure) =>
    pattern.test(messageOf(error))

const at = ({ address, port }: Endpoint): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
const look = ({ machine, isNew = false }: Endpoint): string =>
  isNew ? '' : ` See whether it runs: fleet status ${machine}`

const noAnswer = 'it did not answer'

/** Whether nothing came back from a host at all, as where a firewall drops what is sent to it. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof UserError && error.kind === 'unreachable' && error.message.includes(noAnswer)

const rules: readonly Rule[] = [
  {
    when: code('ENOTFOUND', 'EAI_AGAIN', 'EAI_NONAME', 'EAI_FAIL'),
    kind: 'unreachable',
    why: ({ address }) => `the name ${address} is not known`,
    hint: () => 'check the spelling of the address and the name server of this computer',
  },
  {
    when: code('ECONNREFUSED'),
    kind: 'unreachable',
    why: () => 'nothing listens there (connection refused)',
    hint: (endpoint) => `is sshd running on it, and on this port?${look(endpoint)}`,
  },
  {
    when: code('EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL'),
    kind: 'unreachable',
    why: () => 'there is no route to it',
    hint: (endpoint) => `is it running, and this computer in its network or VPN?${look(endpoint)}`,
  },
  {
    when: code('EACCES', 'EPERM'),
    kind: 'unreachable',
    why: () => 'this computer does not let fleet connect',
    hint: () => 'check the firewall of this computer',
  },
  {
    when: (failure) => code('REFUSED')(failure) && says(/administratively prohibited/)(failure),
    kind: 'unreachable',
    why: (_, error) => `its jump host does not forward connections (${messageOf(error)})`,
    hint: () =>
      'on the jump host, AllowTcpForwarding and PermitOpen in sshd_config, and restrict or no-port-forwarding in authorized_keys, decide that',
  },
  {
    when: code('REFUSED'),
    kind: 'unreachable',
    why: (_, error) => `its jump host cannot connect to it: ${messageOf(error)}`,
    hint: (endpoint) => `is it running, and seen from the jump host?${look(endpoint)}`,
  },
  {
    when: (failure) => timeout('connecting')(failure) || code('ETIMEDOUT')(failure),
    kind: 'unreachable',
    why: (_, error) => `${noAnswer} (${messageOf(error)})`,
    hint: (endpoint) =>
      `is it running, and does its firewall let this computer in?${look(endpoint)}`,
  },
  {
    when: timeout('greeting'),
    kind: 'unreachable',
    why: (_, error) => `it accepts connections, but sends no SSH greeting (${messageOf(error)})`,
    hint: () => 'is it overloaded or still booting? Is this the port of its sshd?',
  },
  {
    when: ({ error }) => error instanceof ConnectTimeout,
    kind: 'unreachable',
    why: (_, error) => `it stopped answering during the login (${messageOf(error)})`,
    hint: () => 'it may be overloaded: try again, or look at its console',
  },
  {
    when: says(/too many authentication failures/i),
    kind: 'credentials',
    why: ({ user }) => `it hung up on ${user} because too many keys were offered`,
    hint: () =>
      'name the one key for this host by IdentityFile in ~/.ssh/config, or unload others: ssh-add -d FILE',
  },
  {
    when: says(/no matching (key exchange|host key|C->S|S->C)/),
    kind: 'unreachable',
    why: (_, error) =>
      `its SSH server speaks no algorithm that fleet accepts (${messageOf(error).replace('Handshake failed: ', '')})`,
    hint: () => 'its sshd is very old or set up narrowly: update it, or widen its sshd_config',
  },
  {
    when: says(/header|identification string|greeting lines/i),
    kind: 'unreachable',
    why: () => 'what answers there is not an SSH server',
    hint: () => 'check the port',
  },
  {
    when: (failure) =>
      failure.error instanceof ClosedEarly ||
      code('ECONNRESET', 'EPIPE')(failure) ||
      says(/lost before handshake/)(failure),
    kind: 'unreachable',
    why: () => 'it closed the connection during the handshake',
    hint: () =>
      'its sshd may be starting, be full (MaxStartups), or deny this address: try again, or read its log',
    passing: true,
  },
]

/** Puts a failed attempt into words. `passing` tells whether to try again. */
export function explainFailure(
  failure: Failure,
  endpoint: Endpoint,
): { readonly error: unknown; readonly passing: boolean } {
  const { machine, user } = endpoint
  const rule = rules.find(({ when }) => when(failure))
  if (failure.error instanceof UserError) return { error: failure.error, passing: false }
  const why = rule?.why(endpoint, failure.error) ?? messageOf(failure.error)
  const details = {
    machine,
    hint:
      rule?.hint(endpoint) ??
      `try again, or look closer: ssh -v ${shellQuote(`${user}@${endpoint.address}`)}`,
    cause: failure.error,
  }
  const who = endpoint.isNew === true ? at(endpoint) : `${machine} at ${at(endpoint)}`
  const message = `cannot reach ${who}: ${why}`
  return {
    error: new UserError(rule?.kind ?? 'unreachable', message, details),
    passing: rule?.passing ?? false,
  }
}

/** The link was there and is gone. */
export const connectionLost = (
  { machine }: Pick<Endpoint, 'machine'>,
  cause?: unknown,
): UserError =>
  new UserError('unreachable', `the connection to ${machine} was lost`, {
    machine,
    hint: `what ran there may still run; see how it is: fleet status ${machine}`,
    cause,
  })

/** The host shows another key than the pinned ones. Keys are `TYPE BASE64`. */
export class HostKeyChanged extends UserError {
  readonly shown: string

  constructor({ machine, address }: Endpoint, pinned: readonly string[], shown: string) {
    const expected = pinned.map(fingerprint).join(' or ')
    super(
      'host-key',
      `${machine} (${address}) shows another host key than the one pinned: ${fingerprint(shown)} in place of ${expected}`,
      {
        machine,
        hint: `somebody may be listening in. If the host was rebuilt on purpose: fleet rekey ${machine}`,
      },
    )
    this.shown = shown
  }
}

/** The host, which is no machine yet, shows another key than known_hosts has for it. */
export function knownHostChanged(
  { machine, address, port }: Pick<Endpoint, 'machine' | 'address' | 'port'>,
  known: readonly KnownHostKey[],
  shown: string,
): UserError {
  const lines = known.map(({ key, file, line }) => `${fingerprint(key)} in ${file}, line ${line}`)
  const name = port === 22 ? address : `[${address}]:${port}`
  const files = [...new Set(known.map(({ file }) => file))]
  const removals = files.map((file) => `ssh-keygen -f ${shellQuote(file)} -R ${shellQuote(name)}`)
  return new UserError(
    'host-key',
    `${address} shows the host key ${fingerprint(shown)}, and known_hosts has another: ${lines.join('; ')}`,
    {
      machine,
      hint: `somebody may be listening in. If the host was rebuilt, or its address used again, remove the old key and try again: ${removals.join('; ')}`,
    },
  )
}

/** The key is one that a known_hosts file says must never be accepted. */
export const hostKeyRevoked = (
  { machine, address }: Pick<Endpoint, 'machine' | 'address'>,
  { key, file, line }: KnownHostKey,
): UserError =>
  new UserError(
    'host-key',
    `the host key of ${machine} (${address}), ${fingerprint(key)}, is marked @revoked in ${file}, line ${line}`,
    {
      machine,
      hint: 'whoever has this key can pose as the host: have a new one made there, or remove the line if it is wrong',
    },
  )

/** No key is pinned, so nothing that answers could be trusted. */
export const hostKeyMissing = ({ machine, address }: Endpoint): UserError =>
  new UserError('host-key', `no host key is pinned for ${machine} (${address})`, {
    machine,
    hint: `read and pin it: fleet rekey ${machine}`,
  })

/** What was tried to log in, as it is noted on the way. */
export interface LoginReport {
  /** Keys that the server turned down, such as `SHA256:… (~/.ssh/id_ed25519)`. */
  readonly offered: string[]
  /** Keys that the server took, and wanted something else beside. */
  readonly accepted: string[]
  /** Keys that could not be tried, each with the reason. */
  readonly skipped: string[]
  /** Commands that make skipped keys usable. */
  readonly remedies: string[]
  /** The methods that the server takes, as it said last. */
  left: readonly string[]
  /** What the server has to say to whoever logs in (RFC 4252 5.4). */
  banner: string
}

export const newLoginReport = (): LoginReport => ({
  ...{ offered: [], accepted: [], skipped: [], remedies: [] },
  ...{ left: [], banner: '' },
})

/** How much of a server's words is repeated. */
const longestQuote = 300

/** A server's words, on one line and without control characters. Empty where there are none. */
export function quoteServer(words: string): string {
  const line = words
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/\p{Cf}/gu, '')
    .trim()
  return line.length > longestQuote ? `${line.slice(0, longestQuote)}…` : line
}

/** The server let in none of the keys. */
export function loginRejected(endpoint: Endpoint, report: LoginReport): UserError {
  const { machine, user, address } = endpoint
  const { skipped, banner } = report
  const { why, hint } = explainRejection(endpoint, report)
  const left = skipped.length === 0 ? '' : `; not tried: ${skipped.join(', ')}`
  const words = quoteServer(banner)
  const said = words === '' ? '' : `; the server said: ${words}`
  return new UserError(
    'credentials',
    `cannot log in to ${machine} as ${user}@${address}: ${why}${left}${said}`,
    { machine, hint },
  )
}

function explainRejection(
  { user }: Endpoint,
  { offered, accepted, remedies, left }: LoginReport,
): { readonly why: string; readonly hint: string } {
  const others = left.filter((method) => method !== 'publickey').join(' or ')
  if (accepted.length > 0) {
    const turnedDown = offered.length === 0 ? '' : `, and turned down ${offered.join(', ')}`
    return {
      why: `the server accepted the key ${accepted.join(', ')}${turnedDown}; it also wants ${left.join(' or ') || 'another method'}`,
      hint: 'run the command in a terminal, where the second factor can be typed; without one, the server must accept a key alone (AuthenticationMethods in its sshd_config)',
    }
  }
  const remedy = remedies.length === 0 ? undefined : remedies.join('; ')
  if (left.length > 0 && !left.includes('publickey')) {
    return {
      why: `the server accepts no keys for this user, only ${others}`,
      hint: `run the command in a terminal, where it can be typed, or turn on PubkeyAuthentication in its sshd_config`,
    }
  }
  const alsoTakes = others === '' ? '' : `; the server would also take ${others}`
  if (offered.length === 0) {
    return {
      why: `there is no key to offer${alsoTakes}`,
      hint: remedy ?? 'load a key that the host knows: ssh-add FILE',
    }
  }
  return {
    why: `it accepts none of the keys offered: ${offered.join(', ')}${alsoTakes}`,
    hint:
      remedy ??
      `add one of these keys to ~${user}/.ssh/authorized_keys on the host, or load one it knows: ssh-add FILE`,
  }
}
