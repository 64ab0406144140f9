import type { ReadyMachine } from '../../machine/machine.ts'
import type { LoginOptions } from '../../state/home/keys.ts'
import type { SshTarget } from '../../transport/ssh/connect.ts'
import type { Context } from '../context.ts'

/** The SSH agent of a login; undefined for the agent of SSH_AUTH_SOCK. */
export function agentOf({ agent }: LoginOptions, env: Context['env']): SshTarget['agent'] {
  if (agent === undefined) return undefined
  if (agent === 'none') return {}
  return { socket: agent.startsWith('$') ? env[agent.slice(1)] : agent }
}

/** The recorded address and host keys of a host, and the login key that the home folder has for it; without jump hosts. */
export async function describeLogin(
  context: Pick<Context, 'keys' | 'env'>,
  { name, host }: ReadyMachine,
): Promise<Omit<SshTarget, 'via'>> {
  const { address = '', port = 22, user = '', hostKeys = [], key } = host
  const ownKey = key === undefined ? undefined : await context.keys().find(key)
  const identityFiles = ownKey === undefined ? [] : [ownKey]
  const options = await context.keys().findLogin({ address, port, user })
  const { certificateFiles } = options
  return {
    ...{ machine: name, address, port, user, hostKeys, identityFiles },
    ...(certificateFiles !== undefined && { certificateFiles }),
    agent: agentOf(options, context.env),
  }
}
