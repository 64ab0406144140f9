import type { OpenSwarm } from '../../operations/services/open-swarm.ts'
import type { Invocation } from '../command.ts'

/**
 * Resolves to the swarm that a command targets: the one that `--machine` names, or the only one. Throws kind `usage` if
 * there is no such swarm.
 */
export async function swarmOf({
  fleet,
  targets,
}: Pick<Invocation, 'fleet' | 'targets'>): Promise<OpenSwarm> {
  const { chooseSwarm, openSwarm } = await import('../../operations/services/open-swarm.ts')
  return openSwarm(fleet, chooseSwarm(await (await fleet.inventory()).read(), targets.machine))
}
