import type { SwarmNode } from '../../engine/swarm/nodes.ts'

/** Whether each manager of a swarm is reachable, keyed by node ID or machine. */
export type Managers = ReadonlyMap<string, boolean>

/**
 * The managers among the given nodes. A node that is being demoted counts as a manager until the other managers have
 * removed it.
 */
export const managersAmong = (nodes: readonly SwarmNode[]): Map<string, boolean> =>
  new Map(
    nodes
      .filter(({ Spec, ManagerStatus }) => Spec.Role === 'manager' || ManagerStatus !== undefined)
      .map(({ ID, Status, ManagerStatus }) => [
        ID,
        ManagerStatus?.Reachability === 'reachable' && Status.State !== 'down',
      ]),
  )

/**
 * Returns the reason a swarm would lose its quorum without some of its managers: no majority of the remaining managers
 * is reachable. Undefined if it would keep its quorum. (docs.docker.com/engine/swarm/raft: a swarm needs a majority of
 * its managers.)
 */
export function quorumLoss(managers: Managers, without: ReadonlySet<string>): string | undefined {
  const rest = [...managers].filter(([id]) => !without.has(id))
  if (rest.length === managers.size) return undefined
  if (rest.length === 0) return 'the swarm would have no manager'
  const reachable = rest.filter(([, isReachable]) => isReachable).length
  if (reachable > rest.length / 2) return undefined
  return `only ${reachable} of ${rest.length} remaining managers ${reachable === 1 ? 'is' : 'are'} reachable, which is not a majority`
}

/**
 * Like {@link quorumLoss}, but for managers that fail but stay members, in which case a majority of all managers is
 * needed.
 */
export function failureLoss(managers: Managers, failing: ReadonlySet<string>): string | undefined {
  if (![...failing].some((id) => managers.has(id))) return undefined
  const left = [...managers].filter(([id, isReachable]) => isReachable && !failing.has(id)).length
  if (left > managers.size / 2) return undefined
  return `only ${left} of ${managers.size} managers would be reachable, which is not a majority`
}
