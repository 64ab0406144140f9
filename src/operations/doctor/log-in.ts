import { UserError } from '../../errors.ts'
import { chooseClient, connectHost } from '../../transport/connect.ts'
import type { SshTarget } from '../../transport/ssh/connect.ts'
import { ConnectError } from '../../transport/ssh/connection-errors.ts'
import { newLoginReport } from '../../transport/ssh/login/login-errors.ts'
import {
  type LoginFailure,
  type OpenTrial,
  describeConnection,
  tryLogin,
} from '../../transport/ssh/try-login.ts'
import type { Environment } from '../../os/environment.ts'

function failureOf(error: UserError): LoginFailure {
  const { kind, message, hint } = error
  const found = { message, hint, printed: '' }
  if (kind === 'host-key') return { step: 'host-key', reason: 'other', ...found }
  if (kind === 'credentials') return { step: 'login', reason: 'other', ...found }
  if (!(error instanceof ConnectError)) return { step: 'route', reason: 'other', ...found }
  const described = describeConnection(error, error.failure)
  // ssh failed before it connected, for example because of an error in its configuration.
  const isLocal = described.step === 'port' && described.reason === 'other'
  return isLocal ? { ...described, step: 'route' } : described
}

/** Logs in with the ssh program, which reports less detail than fleet's own client. */
async function tryOpenSsh(
  target: SshTarget,
  { env, signal }: { env: Environment; signal: AbortSignal },
): Promise<OpenTrial> {
  const { address, port, user } = target
  const trial = { address, port, user, addresses: [], byProgram: true }
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

/**
 * Logs in to a host over a new connection, with the client that fleet would use, and reports the step that failed, if
 * any.
 */
export async function logInAgain(
  target: SshTarget,
  options: { readonly env: Environment; readonly signal: AbortSignal },
): Promise<OpenTrial> {
  const { client } = await chooseClient(target, options.env)
  return client === 'builtin' ? tryLogin(target, options) : tryOpenSsh(target, options)
}
