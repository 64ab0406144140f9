import type { ReadyMachine } from '../../machine/machine.ts'
import { agentSocket } from '../../transport/ssh/config/agent-socket.ts'
import type { SshTarget } from '../../transport/ssh/connect.ts'
import type { Context } from '../context.ts'
import { usableAlias } from './ssh-alias.ts'

/**
 * The recorded address and host keys of a host, its host in the user's SSH configuration, and the login key that the home
 * folder has for it; without jump hosts.
 */
export async function describeLogin(
  context: Pick<Context, 'keys' | 'env' | 'inventory' | 'trust'>,
  { name, host }: ReadyMachine,
): Promise<Omit<SshTarget, 'via'>> {
  const { address = '', port = 22, user = '', hostKeys = [], key } = host
  const ownKey = key === undefined ? undefined : await context.keys().find(key)
  const identityFiles = ownKey === undefined ? [] : [ownKey]
  const alias = await usableAlias(context, host)
  if (alias !== undefined) {
    return { machine: name, address, port, user, hostKeys, identityFiles, alias }
  }
  const options = await context.keys().findLogin({ address, port, user })
  const { certificateFiles } = options
  return {
    ...{ machine: name, address, port, user, hostKeys, identityFiles },
    ...(key !== undefined && { key }),
    ...(certificateFiles !== undefined && { certificateFiles }),
    agent: agentSocket(options, context.env),
  }
}
