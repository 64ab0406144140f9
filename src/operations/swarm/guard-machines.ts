import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Change, Issue } from '../plan/change-plan.ts'
import { type SwarmObservation, answerOf } from './observe-swarms.ts'
import { failureLoss, managersAmong } from './quorum.ts'

/** The changes of machines that end their host, or switch it off. */
const ending: ReadonlySet<Change['action']> = new Set(['replace', 'remove', 'stop'])

/** A machine without which a swarm would lose its quorum. */
interface NeededManager {
  readonly machine: string
  readonly swarm: string
  readonly why: string
}

/**
 * The first machines, in this order, without which a swarm would lose the majority of its managers. None if all nodes of the swarm
 * are among the machines: then the swarm ends.
 */
function neededManagers(
  { swarms }: Pick<Inventory, 'swarms'>,
  observed: SwarmObservation,
  machines: readonly string[],
): readonly NeededManager[] {
  return [...swarms.values()].flatMap(({ name: swarm, id }): NeededManager[] => {
    const cluster = id === undefined ? undefined : observed.clusters.get(id)
    if (cluster === undefined) return []
    const managers = managersAmong(cluster.nodes)
    const nodeOf = (machine: string) => answerOf(observed, machine)?.nodeId ?? ''
    const all = new Set(machines.map(nodeOf))
    if (cluster.nodes.every(({ ID }) => all.has(ID))) return []
    const failing = new Set<string>()
    return machines.flatMap((machine) => {
      const node = nodeOf(machine)
      if (!managers.has(node)) return []
      const why = failureLoss(managers, new Set([...failing, node]))
      if (why !== undefined) return [{ machine, swarm, why }]
      failing.add(node)
      return []
    })
  })
}

/** The changes of machines that a plan must leave out, so that no swarm loses its quorum. */
export function machinesLosingQuorum(
  inventory: Pick<Inventory, 'swarms'>,
  observed: SwarmObservation,
  changes: readonly Change[],
): { readonly refused: ReadonlySet<Change>; readonly issues: readonly Issue[] } {
  const ends = changes.filter(({ action, gone }) => ending.has(action) && gone !== true)
  const needed = neededManagers(
    inventory,
    observed,
    ends.map(({ machine }) => machine),
  )
  const refused = new Set(
    ends.filter(({ machine }) => needed.some((manager) => manager.machine === machine)),
  )
  const issues = needed.map(({ machine, swarm, why }): Issue => {
    const actions = [...refused].filter((one) => one.machine === machine)
    const deed = actions.map(({ action }) => action).join(' and ')
    return {
      machine,
      why: `${deed} is not possible, because it manages swarm ${swarm}: ${why}`,
      hint: 'bring back its other managers, or select other machines as managers first',
    }
  })
  return { refused, issues }
}
