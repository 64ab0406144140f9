import { shellQuote } from '../../../os/shell-quote.ts'
import { UserError } from '../../../errors.ts'
import { ClosedEarly, type Endpoint, quoteServer } from '../connection-errors.ts'

/** A record of the attempts to log in. */
export interface LoginReport {
  /** Keys that the server rejected, such as `SHA256:… (~/.ssh/id_ed25519)`. */
  readonly offered: string[]
  /** Keys that the server accepted but that were not sufficient to log in. */
  readonly accepted: string[]
  /** Keys that could not be tried, each with the reason. */
  readonly skipped: string[]
  /** Why the agent's keys could not be tried; the reason is also in `skipped`. */
  agent?: string | undefined
  /** Commands that make skipped keys usable. */
  readonly remedies: string[]
  /** The methods that the server accepts, according to its last answer. */
  left: readonly string[]
  /**
   * Why the login with a Kerberos ticket failed; empty if the server gave no reason; undefined if no such login was
   * tried.
   */
  kerberos?: string | undefined
  /** The server's banner (RFC 4252 5.4). */
  banner: string
}

/** The reason to show if there is no Kerberos ticket, as worded by MIT Kerberos. */
export const noKerberosTicket = 'No Kerberos credentials available'

export const newLoginReport = (): LoginReport => ({
  ...{ offered: [], accepted: [], skipped: [], remedies: [] },
  ...{ left: [], banner: '' },
})

const bannerOf = ({ banner }: LoginReport): string => {
  const words = quoteServer(banner)
  return words === '' ? '' : `; the server reported: ${words}`
}

/** The messages of pam_nologin(8) while a host starts up or shuts down. */
const isBooting = /is booting up|not permitted to log in yet|is going down/i

/**
 * Creates the error for a server that closed the connection after accepting a key, as sshd does when PAM rejects the
 * account. The kind is `credentials`, or `unreachable` while the host starts up or shuts down. Returns undefined for
 * other failures.
 */
export function refusedAfterKey(
  { machine, user, address }: Endpoint,
  error: unknown,
  { report, key }: { readonly report: LoginReport; readonly key: string | undefined },
): UserError | undefined {
  if (key === undefined || !(error instanceof ClosedEarly)) return undefined
  const isPassing = isBooting.test(report.banner)
  return new UserError(
    isPassing ? 'unreachable' : 'credentials',
    `cannot log in to ${machine} as ${user}@${address}: the server accepted the key ${key} and then closed the connection${bannerOf(report)}`,
    {
      machine,
      hint: isPassing
        ? 'the host is starting up or shutting down: try again in a minute'
        : `the account ${user} may be expired, locked or not allowed to log in: check the output of chage -l ${shellQuote(user)} and the sshd log on the host`,
    },
  )
}

/** Creates the error for a rejected login. */
export function loginRejected(endpoint: Endpoint, report: LoginReport): UserError {
  const { machine, user, address } = endpoint
  const { skipped } = report
  const { why, hint } = explainRejection(endpoint, report)
  const left = skipped.length === 0 ? '' : `; not tried: ${skipped.join(', ')}`
  return new UserError(
    'credentials',
    `cannot log in to ${machine} as ${user}@${address}: ${why}${left}${bannerOf(report)}`,
    { machine, hint },
  )
}

/** Returns the hint for a login with a Kerberos ticket that failed for `reason`. */
function kerberosHint(user: string, reason: string): string {
  if (/not found in Kerberos database/i.test(reason))
    return "set HostName in ~/.ssh/config to the host's name in the Kerberos realm"
  if (reason !== '') return 'to get a Kerberos ticket: kinit'
  return `the host does not allow your Kerberos principal to log in as ${user}: check ~${user}/.k5login on the host`
}

function explainRejection(
  endpoint: Endpoint,
  report: LoginReport,
): { readonly why: string; readonly hint: string } {
  const { kerberos: reason, left } = report
  const { why, hint } = explainKeys(endpoint, report)
  if (reason === undefined || !left.includes('gssapi-with-mic')) return { why, hint }
  const words = reason === '' ? 'your ticket was rejected' : reason
  return { why: `${why}; Kerberos: ${words}`, hint: kerberosHint(endpoint.user, reason) }
}

function explainKeys(
  { user }: Endpoint,
  { offered, accepted, remedies, left }: LoginReport,
): { readonly why: string; readonly hint: string } {
  const others = left.filter((method) => method !== 'publickey').join(' or ')
  if (accepted.length > 0) {
    const turnedDown = offered.length === 0 ? '' : ` and rejected ${offered.join(', ')}`
    return {
      why: `the server accepted the key${accepted.length > 1 ? 's' : ''} ${accepted.join(', ')}${turnedDown}; it also requires ${left.join(' or ') || 'another method'}`,
      hint: 'run the command in a terminal, where you can enter the second factor; to run it without a terminal, configure the server to accept a key alone (AuthenticationMethods in sshd_config on the host)',
    }
  }
  const remedy = remedies.length === 0 ? undefined : remedies.join('; ')
  if (left.length > 0 && !left.includes('publickey')) {
    return {
      why: `the server accepts no keys for this user, only ${others}`,
      hint: 'run the command in a terminal to log in without a key, or enable PubkeyAuthentication in sshd_config on the host',
    }
  }
  const alsoTakes = others === '' ? '' : `; the server would also accept ${others}`
  if (offered.length === 0) {
    return {
      why: `no key could be offered${alsoTakes}`,
      hint: remedy ?? 'load a key that the host accepts: ssh-add FILE',
    }
  }
  return {
    why: `the server accepts none of the keys offered: ${offered.join(', ')}${alsoTakes}`,
    hint:
      remedy ??
      `add one of these keys to ~${user}/.ssh/authorized_keys on the host, or load a key that the host accepts: ssh-add FILE`,
  }
}
