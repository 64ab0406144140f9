import type { SshTarget } from '../connect.ts'
import type { Environment } from '../../../os/environment.ts'

/** Returns the agent that a configuration selects with `IdentityAgent`; undefined for the agent of SSH_AUTH_SOCK. */
export function agentSocket(
  { agent }: { readonly agent?: string | undefined },
  env: Environment,
): SshTarget['agent'] {
  if (agent === undefined) return undefined
  if (agent === 'none') return {}
  return { socket: agent.startsWith('$') ? env[agent.slice(1)] : agent }
}
