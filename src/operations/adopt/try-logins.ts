import { UserError } from '../../errors.ts'
import { type HostRecord, type ReadyMachine, checkAddress } from '../../machine/machine.ts'
import { openLocal } from '../../transport/local/local.ts'
import { connectSsh } from '../../transport/ssh/connect.ts'
import { fingerprintKeyFile } from '../../transport/ssh/keys/key-fingerprint.ts'
import type { Transport } from '../../transport/transport.ts'
import type { LoginOptions } from '../../state/home/keys.ts'
import type { Context } from '../context.ts'
import { agentOf } from '../connect/describe-login.ts'

/** How to get in to a host that is no machine yet. */
interface Way {
  /** The jump host. */
  readonly via: Transport | undefined
  /** Private keys to try before the usual ones, best first. */
  readonly identityFiles: readonly string[]
  /** What else ssh's configuration says of the login. */
  readonly options?: LoginOptions
}

/** An open login, which the caller ends, and the key to come back with. */
interface Login extends Pick<HostRecord, 'key'> {
  readonly transport: Transport
}

/**
 * Logs in to a new machine. With each key file alone at first, because the record is to name the
 * one that the host takes; nobody is asked for a passphrase before all have failed.
 */
export async function tryLogins(context: Context, machine: ReadyMachine, way: Way): Promise<Login> {
  checkAddress(machine)
  const { address, port = 22, user = '' } = machine.host
  if (address === undefined) return { transport: openLocal(context.env) }
  const login = await logInWithKeys(context, machine, way)
  await context.keys().rememberLogin({ address, port, user }, way.options ?? {})
  return login
}

async function logInWithKeys(context: Context, machine: ReadyMachine, way: Way): Promise<Login> {
  const keys = await readFingerprints(way.identityFiles)
  for (const [file, key] of keys) {
    try {
      const transport = await connect(context, machine, { ...way, identityFiles: [file] }, false)
      return await remembered(context, { transport, key }, file)
    } catch (error) {
      if (!(error instanceof UserError && error.kind === 'credentials')) throw error
    }
  }
  const transport = await connect(context, machine, way, true)
  const [first] = keys
  if (first === undefined) return { transport }
  return remembered(context, { transport, key: first[1] }, first[0])
}

async function readFingerprints(files: readonly string[]): Promise<[file: string, key: string][]> {
  const keys = await Promise.all(files.map(fingerprintKeyFile))
  return files.flatMap((file, index): [string, string][] => {
    const key = keys[index]
    return key === undefined ? [] : [[file, key]]
  })
}

/** Only the fingerprint is written to the inventory; where the file is stays in home. */
async function remembered(
  context: Context,
  login: { transport: Transport; key: string },
  file: string,
): Promise<Login> {
  await context.keys().remember(login.key, file)
  return login
}

function connect(
  { signal, env, prompt }: Context,
  { name, host }: ReadyMachine,
  { options = {}, ...way }: Way,
  mayAsk: boolean,
): Promise<Transport> {
  const { address = '', port = 22, user = '', hostKeys = [] } = host
  return connectSsh(
    {
      ...{ machine: name, address, port, user, hostKeys, ...way },
      ...{ certificateFiles: options.certificateFiles, agent: agentOf(options, env) },
    },
    { signal, env, prompt: mayAsk ? prompt : undefined },
  )
}
