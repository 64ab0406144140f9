import { UserError } from '../../errors.ts'
import type { Machine, ReadyMachine } from '../../machine/machine.ts'
import { agentSocket } from '../../transport/ssh/config/agent-socket.ts'
import type { SshTarget } from '../../transport/ssh/connect.ts'
import type { Context } from '../context.ts'
import { findTunnel } from './find-tunnel.ts'
import { usableAlias } from './ssh-alias.ts'

/**
 * The SSH client that FLEET_SSH or the entry specifies, if any. Throws kind `usage` for any other value of FLEET_SSH.
 */
export function requestedClient(
  { ssh }: Pick<Machine, 'ssh'>,
  env: Context['env'],
): SshTarget['client'] {
  const name = env['FLEET_SSH'] || ssh?.client
  if (name === undefined || name === 'builtin' || name === 'openssh') return name
  throw new UserError('usage', `invalid value for FLEET_SSH: ${JSON.stringify(name)}`, {
    hint: 'set FLEET_SSH to openssh or builtin, or unset it',
  })
}

/**
 * Describes how to log in to a host, apart from its jump hosts: its recorded address and host keys, its alias in the
 * user's SSH configuration, the login key in fleet's home directory, and the proxy command.
 */
export async function describeLogin(
  context: Pick<Context, 'keys' | 'env' | 'inventory' | 'trust' | 'driver'>,
  machine: ReadyMachine,
): Promise<Omit<SshTarget, 'via'>> {
  const { name, host } = machine
  const client = requestedClient(machine, context.env)
  const { address = '', port = 22, user = '', hostKeys = [], key } = host
  const ownKey = key === undefined ? undefined : await context.keys().find(key)
  const identityFiles = ownKey === undefined ? [] : [ownKey]
  const login = {
    ...{ machine: name, address, port, user, hostKeys, identityFiles },
    ...(client !== undefined && { client }),
  }
  const proxyCommand = await findTunnel(context, machine, host)
  const alias = await usableAlias(context, host)
  if (alias !== undefined) {
    return { ...login, alias }
  }
  const options = await context.keys().findLogin({ address, port, user })
  const { certificateFiles } = options
  return {
    ...login,
    ...(key !== undefined && { key }),
    ...(certificateFiles !== undefined && { certificateFiles }),
    agent: agentSocket(options, context.env),
    ...(proxyCommand && { proxyCommand }),
  }
}
