import { shellQuote } from '../../os/shell-quote.ts'
import {
  ClosedEarly,
  ConnectTimeout,
  type Failure,
  NotSsh,
  type Stage,
} from '../ssh/connection-errors.ts'
import { newLoginReport } from '../ssh/login/login-errors.ts'
import type { LoginReport } from '../ssh/login/login-errors.ts'

/** A host key that ssh has reported. */
interface ShownKey {
  /** The type, such as `ssh-ed25519`. */
  readonly type: string
  /** The fingerprint, as `SHA256:…`. */
  readonly fingerprint: string
}

/** The progress of a login, parsed from the output of `ssh -v`. */
export interface LoginLog {
  /** Parses a line of ssh's standard error. */
  add(line: string): void
  stage(): Stage
  isLoggedIn(): boolean
  hostKey(): ShownKey | undefined
  /** The fingerprint of the key that the host accepted last. */
  acceptedKey(): string | undefined
  /** The attempts to log in. */
  readonly report: LoginReport
  /** Lines that do not report progress, in order: errors of ssh and of programs that it runs, and the host's banner. */
  readonly words: readonly string[]
}

/** The maximum number of lines that are kept. */
const mostWords = 40

/**
 * A pattern for progress lines of `ssh -v`, and the change of state that they report. The texts have been the same
 * since OpenSSH 7.4.
 */
type Step = readonly [pattern: RegExp, take: (log: State, found: RegExpExecArray) => void]

interface State {
  stage: Stage
  isLoggedIn: boolean
  hostKey: ShownKey | undefined
  accepted: string | undefined
  acceptedKey: string | undefined
  /** The method that is being tried. */
  method: string | undefined
  readonly report: LoginReport
}

const steps: readonly Step[] = [
  [/^Connection established/, (log) => (log.stage = 'greeting')],
  [/^(?:Remote protocol version|Remote software version)/, (log) => (log.stage = 'agreeing')],
  [
    /^Server host (?:key|certificate): (\S+) (SHA256:\S+)/,
    (log, [, type = '', fingerprint = '']) => (log.hostKey = { type, fingerprint }),
  ],
  [/^SSH2_MSG_SERVICE_ACCEPT received/, (log) => (log.stage = 'login')],
  [
    /^Authentications that can continue: (\S*)/,
    (log, [, methods = '']) => {
      log.stage = 'login'
      log.report.left = methods.split(',')
    },
  ],
  [
    /^(?:Next authentication method: (\S+)|No more authentication methods)/,
    (log, [, method]) => {
      log.method = method
      if (method === 'gssapi-with-mic') log.report.kerberos ??= ''
    },
  ],
  [
    /^Offering public key: (.*?) (\S+) (SHA256:\S+)/,
    (log, [, name = '', , fingerprint = '']) => log.report.offered.push(`${fingerprint} (${name})`),
  ],
  [
    /^Server accepts key: .*?(SHA256:\S+)/,
    (log, [, fingerprint]) => {
      log.accepted = log.report.offered.at(-1)
      log.acceptedKey = fingerprint
    },
  ],
  [
    /with partial success/,
    (log) => {
      if (log.accepted === undefined) return
      log.report.offered.pop()
      log.report.accepted.push(log.accepted)
    },
  ],
  [/^Authenticated to |^Authentication succeeded/, (log) => (log.isLoggedIn = true)],
]

/** Lines about keys that ssh could not use. */
const unusable: readonly Step[] = [
  [
    /^Load key "(.*)": (?:bad permissions)/,
    ({ report }, [, file = '']) => {
      report.skipped.push(
        `${file} (the permissions are too open: others can read this private key)`,
      )
      report.remedies.push(`chmod 600 ${shellQuote(file)}`)
    },
  ],
  [
    /^Load key "(.*)": (.*)/,
    ({ report }, [, file = '', why = '']) => report.skipped.push(`${file} (${why})`),
  ],
  [
    /^sign_and_send_pubkey: signing failed for (\S+) "(.*)"(?: from agent)?: (.*)/,
    ({ report }, [, type = '', file = '', why = '']) => {
      report.offered.pop()
      report.skipped.push(
        `${file} (the server accepted this key, but the signature failed: ${why})`,
      )
      if (type.endsWith('-SK'))
        report.remedies.push('plug in the security key, and touch it when it blinks')
    },
  ],
  [
    /^no such identity: (.*): No such file or directory/,
    ({ report }, [, file = '']) => report.skipped.push(`${file} (no such file)`),
  ],
]

/** The first line of a GSSAPI error message (RFC 2744, 3.9.1). Its second line is the reason. */
const beginsReason = /^debug1: (?!Next authentication method)/

/**
 * Creates a parser for the output of `ssh -v` during a login. `greeted` is called once the host has sent its SSH
 * version.
 */
export function readLogin(greeted: () => void): LoginLog {
  const state: State = {
    ...{ stage: 'connecting', isLoggedIn: false, hostKey: undefined, accepted: undefined },
    ...{ acceptedKey: undefined, method: undefined },
    report: newLoginReport(),
  }
  const words: string[] = []
  let previous = ''
  const takes =
    (line: string) =>
    ([pattern, take]: Step) => {
      const found = pattern.exec(line)
      if (found !== null) take(state, found)
      return found !== null
    }
  return {
    add(text) {
      const line = text.replace(/\r$/, '')
      const before = state.stage
      const debug = /^debug[123]: (.*)/.exec(line)
      const isKnown = [...steps, ...unusable].some(takes(debug?.[1] ?? line))
      if (debug === null && !isKnown && !/^\s*$|^OpenSSH_/.test(line)) {
        if (state.method === 'gssapi-with-mic' && beginsReason.test(previous))
          state.report.kerberos = line
        else words.push(line)
        if (words.length > mostWords) words.shift()
      }
      previous = line
      if (before !== 'agreeing' && state.stage === 'agreeing') greeted()
    },
    stage: () => state.stage,
    isLoggedIn: () => state.isLoggedIn,
    hostKey: () => state.hostKey,
    acceptedKey: () => state.acceptedKey,
    report: state.report,
    words,
  }
}

const systemError = (code: string, message: string) => Object.assign(new Error(message), { code })

/** Network errors in the output of ssh, and the matching error codes of Node.js. */
const networkErrors: readonly (readonly [pattern: RegExp, code: string])[] = [
  [/Could not resolve hostname/, 'ENOTFOUND'],
  [/Connection refused/, 'ECONNREFUSED'],
  [/No route to host|Network is unreachable|Host is (?:down|unreachable)/, 'EHOSTUNREACH'],
  [/(?:Connection|Operation) timed out/, 'ETIMEDOUT'],
  [/connect to (?:host|address) .*(?:Permission denied|not permitted)/, 'EACCES'],
]

const closed =
  /^(?:kex_exchange_identification: |ssh_exchange_identification: )?(?:read: )?Connection (?:closed|reset)/
const notSsh =
  /banner line contains invalid characters|: invalid format|Bad packet length|Protocol major versions differ/

/** Lines of ssh's output that report only that the connection has ended. */
const uninformative =
  /^(?:\w+_exchange_identification: |banner exchange: )?(?:read: )?Connection (?:to UNKNOWN|closed by|reset by|timed out during) |^Killed by signal/

/** Returns the line that best explains why ssh exited. */
export const lastWords = (words: readonly string[]): string | undefined =>
  words.findLast((line) => !uninformative.test(line)) ?? words.at(-1)

/** Explains why an ssh process exited without logging in, as ssh2 would have reported it. */
export function failureOf(log: LoginLog, seconds: number): Failure {
  const stage = log.stage()
  // With a ProxyCommand, ssh does not report that the connection has been established.
  const answered = stage === 'connecting' ? 'greeting' : stage
  const last = log.words.at(-1) ?? ''
  const why = lastWords(log.words) ?? 'ssh exited without an error message'
  if (notSsh.test(why)) return { stage: answered, error: new NotSsh(why) }
  if (/timed out during banner exchange/.test(last))
    return { stage: 'greeting', error: new ConnectTimeout(seconds) }
  const known = networkErrors.find(([pattern]) => pattern.test(why))
  if (known !== undefined) return { stage, error: systemError(known[1], why) }
  if (closed.test(why)) return { stage: answered, error: new ClosedEarly() }
  return { stage, error: new Error(why) }
}
