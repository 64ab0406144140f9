import { UserError } from '../../errors.ts'
import { type HostRecord, type ReadyMachine, checkAddress } from '../../machine/machine.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { openLocal } from '../../transport/local/local.ts'
import { chooseClient, connectHost } from '../../transport/connect.ts'
import { fingerprintKeyFile } from '../../transport/ssh/login/key-file.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Context } from '../context.ts'
import { agentSocket } from '../../transport/ssh/config/agent-socket.ts'
import { requestedClient } from '../connect/describe-login.ts'
import type { SshLogin } from './connect-and-probe.ts'

/** How to log in to a host that is not a machine yet. */
interface LoginAttempt {
  /** The jump host. */
  readonly via: Transport | undefined
  /** Private keys to try before the default ones, in this order. */
  readonly identityFiles: readonly string[]
  /** Other login settings from the SSH configuration. */
  readonly ssh?: SshLogin
}

/** An open connection, which the caller must close, and the fingerprint of the key for later logins. */
interface Login extends Pick<HostRecord, 'key'> {
  readonly transport: Transport
}

/**
 * Logs in to a new machine, and returns the key that the host accepted. Prompts for a passphrase or a password only
 * after trying all keys that do not need one.
 */
export async function tryLogins(
  context: Context,
  machine: ReadyMachine,
  attempt: LoginAttempt,
): Promise<Login> {
  checkAddress(machine)
  const { address, port = 22, user = '' } = machine.host
  if (address === undefined) return { transport: openLocal(context.env) }
  const login = await logInWithKeys(context, machine, attempt)
  // If the host has an alias, later logins read these settings from the SSH configuration again.
  const { agent, certificateFiles } = attempt.ssh ?? {}
  const options = machine.host.sshAlias === undefined ? { agent, certificateFiles } : {}
  await context.keys().rememberLogin({ address, port, user }, options)
  return login
}

async function logInWithKeys(
  context: Context,
  machine: ReadyMachine,
  attempt: LoginAttempt,
): Promise<Login> {
  const keys = await readFingerprints(attempt.identityFiles)
  let accepted: string | undefined
  const logIn = (mayAsk: boolean) =>
    connect(context, machine, attempt, mayAsk, (key) => (accepted = key))
  const transport = await logIn(false).catch((error: unknown) => {
    if (!(error instanceof UserError && error.kind === 'credentials')) throw error
    return logIn(true)
  })
  const key = accepted ?? keys[0]?.[1]
  if (key === undefined) return { transport }
  const file = keys.find(([, known]) => known === key)?.[0]
  return file === undefined ? { transport, key } : remembered(context, { transport, key }, file)
}

async function readFingerprints(files: readonly string[]): Promise<[file: string, key: string][]> {
  const keys = await Promise.all(files.map(fingerprintKeyFile))
  return files.flatMap((file, index): [string, string][] => {
    const key = keys[index]
    return key === undefined ? [] : [[file, key]]
  })
}

/** Records the path of the key file in fleet's home directory. The inventory gets only the fingerprint. */
async function remembered(
  context: Context,
  login: { transport: Transport; key: string },
  file: string,
): Promise<Login> {
  await context.keys().remember(login.key, file)
  return login
}

async function connect(
  { signal, env, prompt }: Context,
  machine: ReadyMachine,
  { ssh = {}, ...attempt }: LoginAttempt,
  mayAsk: boolean,
  onKeyLogin: (fingerprint: string) => void,
): Promise<Transport> {
  const { name, host } = machine
  const { address = '', port = 22, user = '', hostKeys = [] } = host
  const target = {
    ...{ machine: name, address, port, user, hostKeys, ...attempt },
    ...{ ...ssh, agent: agentSocket(ssh, env) },
    destination: host.sshAlias,
    client: requestedClient(machine, env),
  }
  // The settings are already resolved, but OpenSSH also gets the alias, for the settings that fleet does not support.
  const alias = host.sshAlias === undefined ? undefined : { destination: host.sshAlias }
  const { client } = await chooseClient({ ...target, alias }, env)
  const chosen = client === 'openssh' ? { ...target, client, alias } : { ...target, client }
  return connectHost(chosen, { signal, env, onKeyLogin, prompt: mayAsk ? prompt : undefined })
}

/**
 * Returns the key file specified with `--identity`, if any. Throws kind `usage` when fleet cannot read a private key
 * from it.
 */
export async function namedIdentityFiles(file: string | undefined): Promise<readonly string[]> {
  if (file === undefined) return []
  if ((await fingerprintKeyFile(file)) !== undefined) return [file]
  throw new UserError('usage', `${file} does not contain a private key that fleet can read`, {
    hint: `to see the reason: ssh-keygen -yf ${shellQuote(file)}`,
  })
}
