import { UserError } from '../../errors.ts'
import { chooseClient, connectHost } from '../../transport/connect.ts'
import type { SshTarget } from '../../transport/ssh/connect.ts'
import { newLoginReport } from '../../transport/ssh/login/login-errors.ts'
import { type LoginFailure, type OpenTrial, tryLogin } from '../../transport/ssh/try-login.ts'
import type { Environment } from '../../os/environment.ts'

/** Where the messages of a connection with the program ssh belong. */
const steps: readonly (readonly [RegExp, LoginFailure['step'], LoginFailure['reason']])[] = [
  [/cannot resolve the host name/, 'name', 'other'],
  [/connection refused/, 'port', 'refused'],
  [/did not answer/, 'port', 'silent'],
  [/no route to the host/, 'port', 'no-route'],
  [/not an SSH server/, 'banner', 'not-ssh'],
  [/sends no SSH greeting/, 'banner', 'silent'],
  [/closed the connection during the handshake/, 'banner', 'closed'],
  [/supports no algorithm|stopped answering/, 'key-exchange', 'other'],
]

function failureOf({ kind, message, hint }: UserError): LoginFailure {
  const found = { message, hint, printed: '' }
  if (kind === 'host-key') return { step: 'host-key', reason: 'other', ...found }
  if (kind === 'credentials') return { step: 'login', reason: 'other', ...found }
  const [, step = 'route', reason = 'other'] = steps.find(([words]) => words.test(message)) ?? []
  return { step, reason, ...found }
}

/** Logs in with the program ssh, which reports less than fleet's own client. */
async function tryOpenSsh(
  target: SshTarget,
  why: string,
  { env, signal }: { env: Environment; signal: AbortSignal },
): Promise<OpenTrial> {
  const { address, port, user } = target
  const trial = { address, port, user, addresses: [], byProgram: true, otherClient: why }
  const keys = newLoginReport()
  let accepted: string | undefined
  try {
    const onKeyLogin = (fingerprint: string) => (accepted = fingerprint)
    const transport = await connectHost(target, { env, signal, onKeyLogin })
    return { trial: { ...trial, keys, accepted }, transport }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof UserError)) throw error
    return { trial: { ...trial, keys, failure: failureOf(error) } }
  }
}

/** Logs in to a host over a new connection, with the client that fleet would use, and reports how far it came. */
export async function logInAnew(
  target: SshTarget,
  options: { readonly env: Environment; readonly signal: AbortSignal },
): Promise<OpenTrial> {
  const { client, why } = await chooseClient(target, options.env)
  if (client === 'builtin') return tryLogin(target, options)
  return tryOpenSsh(target, why ?? 'it was requested', options)
}
