import type { Machine } from '../../machine/machine.ts'
import { chooseClient } from '../../transport/connect.ts'
import type { Context } from '../context.ts'
import { describeLogin } from './describe-login.ts'

/** The SSH client of a machine that does not use fleet's own client, and the reason. */
interface OtherClient {
  readonly sshClient: 'openssh'
  readonly sshClientReason: string
}

/**
 * Returns the SSH client of a machine and the reason for using it; undefined if it is fleet's own. Throws as
 * `describeLogin` does.
 */
export async function findOtherClient(
  context: Pick<Context, 'keys' | 'env' | 'inventory' | 'trust' | 'driver'>,
  machine: Machine,
): Promise<OtherClient | undefined> {
  const { host } = machine
  if (host?.phase !== 'ready' || host.address === undefined) return undefined
  const login = await describeLogin(context, { ...machine, host })
  const { client, why } = await chooseClient(login, context.env)
  if (client === 'builtin') return undefined
  const asked = context.env['FLEET_SSH'] ? 'FLEET_SSH is set' : 'ssh.client is set in the entry'
  return { sshClient: client, sshClientReason: why ?? asked }
}
