import type { Swarm } from '../../machine/swarms.ts'
import type { SwarmStatus } from '../../operations/swarm/swarm-states.ts'
import type { Invocation } from '../command.ts'
import { defaultTimeoutMs } from '../multi/query-engines.ts'

/** Resolves to the named swarms, or to all swarms if no names are given. Throws kind `usage` for an unknown name. */
export async function chooseSwarms(
  { fleet }: Pick<Invocation, 'fleet'>,
  names: readonly string[],
): Promise<readonly Swarm[]> {
  const { swarms } = await (await fleet.inventory()).read()
  const known = [...swarms.keys()]
  const unknown = names.find((name) => !swarms.has(name))
  if (unknown !== undefined) {
    const { unknownSwarm } = await import('../../operations/services/open-swarm.ts')
    throw unknownSwarm(unknown, known)
  }
  return [...swarms.values()].filter(({ name }) => names.length === 0 || names.includes(name))
}

/**
 * Resolves to the states of the named swarms, or of all swarms if no names are given. Throws kind `usage` for an
 * unknown name.
 */
export async function readStates(
  { fleet }: Pick<Invocation, 'fleet'>,
  names: readonly string[],
  timeout: number | undefined,
): Promise<readonly SwarmStatus[]> {
  const { readSwarmStates } = await import('../../operations/swarm/swarm-states.ts')
  const chosen = await chooseSwarms({ fleet }, names)
  if (chosen.length === 0) return []
  const { machines } = await (await fleet.inventory()).read()
  const timeoutMs = timeout === undefined ? defaultTimeoutMs : timeout * 1000
  return readSwarmStates(fleet, chosen, [...machines.values()], { timeoutMs })
}
