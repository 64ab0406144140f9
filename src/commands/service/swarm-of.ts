import type { OpenSwarm } from '../../operations/services/open-swarm.ts'
import type { Invocation } from '../command.ts'

/** The swarm that a command is for: the one that `--machine` names, or the only one. Throws kind `usage`. */
export async function swarmOf({
  fleet,
  targets,
}: Pick<Invocation, 'fleet' | 'targets'>): Promise<OpenSwarm> {
  const { chooseSwarm, openSwarm } = await import('../../operations/services/open-swarm.ts')
  return openSwarm(fleet, chooseSwarm(await (await fleet.inventory()).read(), targets.machine))
}
