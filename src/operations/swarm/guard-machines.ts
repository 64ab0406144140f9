import type { SwarmNode } from '../../engine/swarm/nodes.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Change, Issue } from '../plan/change-plan.ts'
import { machineLabel } from './node-labels.ts'
import { type SwarmObservation, answerOf } from './observe-swarms.ts'
import { failureLoss, managersAmong, quorumLoss } from './quorum.ts'

/**
 * The interruption of a machine's host, and therefore of its node. `fail`: the host is switched off. `leave`: the host
 * is removed after its node has left the swarm. `restart`: the host is switched off and on again; managers restart one
 * at a time.
 */
export type Interruption = 'fail' | 'leave' | 'restart'

/** Interruptions, keyed by node ID or machine, in the order in which they happen. */
type Interruptions = ReadonlyMap<string, Interruption>

/** Returns the interruption that a change causes to the host; undefined if it causes none. */
function interruptionOf({ action, gone, stops }: Change): Interruption | undefined {
  if (gone === true) return undefined
  if (action === 'stop') return 'fail'
  if (action === 'remove' || action === 'replace') return 'leave'
  return action === 'change' && stops === true ? 'restart' : undefined
}

/**
 * Returns the interruptions that changes cause, keyed by machine. If a machine has several, `leave` takes precedence
 * over `fail`, and `fail` over `restart`.
 */
export function interruptionsOf(changes: readonly Change[]): Interruptions {
  const order: readonly Interruption[] = ['restart', 'fail', 'leave']
  const found = new Map<string, Interruption>()
  for (const change of changes) {
    const interruption = interruptionOf(change)
    const before = found.get(change.machine)
    if (interruption === undefined) continue
    if (before !== undefined && order.indexOf(before) >= order.indexOf(interruption)) continue
    found.set(change.machine, interruption)
  }
  return found
}

/**
 * Returns the nodes whose interruption would cost a swarm the majority of its managers, with the reason for each. The
 * result is empty if all nodes of the swarm are interrupted, because then the whole swarm ends or stops. A swarm with
 * one or two managers has no majority if one of them is missing, so in such a swarm, a manager may restart, and the
 * second manager may leave.
 */
export function neededNodes(
  nodes: readonly SwarmNode[],
  interruptions: Interruptions,
): ReadonlyMap<string, string> {
  if (nodes.every(({ ID }) => interruptions.has(ID))) return new Map()
  const managers = managersAmong(nodes)
  const isSmall = managers.size <= 2
  const failing = new Set<string>()
  const needed = new Map<string, string>()
  for (const [node, interruption] of interruptions) {
    if (!managers.has(node)) continue
    if (interruption === 'restart' && isSmall) continue
    const without = new Set([...failing, node])
    const isLeaving = interruption === 'leave' && isSmall
    const why = isLeaving ? quorumLoss(managers, without) : failureLoss(managers, without)
    if (why !== undefined) needed.set(node, why)
    else if (interruption !== 'restart') failing.add(node)
  }
  return needed
}

/** A machine without which a swarm would lose its quorum. */
interface NeededManager {
  readonly machine: string
  readonly swarm: string
  readonly why: string
}

/** Finds the machines whose interruption would cost a swarm the majority of its managers. */
function neededManagers(
  { swarms }: Pick<Inventory, 'swarms'>,
  observed: SwarmObservation,
  machines: Interruptions,
): readonly NeededManager[] {
  return [...swarms.values()].flatMap(({ name: swarm, id }): NeededManager[] => {
    const cluster = id === undefined ? undefined : observed.clusters.get(id)
    if (cluster === undefined) return []
    const owners = new Map(
      [...machines.keys()].flatMap((machine) =>
        nodesOf(machine, answerOf(observed, machine)?.nodeId, cluster.nodes).map(
          ({ ID }) => [ID, machine] as const,
        ),
      ),
    )
    const interruptions = new Map(
      [...owners].map(([node, machine]) => [node, machines.get(machine) ?? 'fail'] as const),
    )
    return [...neededNodes(cluster.nodes, interruptions)].map(([node, why]) => ({
      ...{ machine: owners.get(node) ?? node, swarm, why },
    }))
  })
}

/** Returns the nodes of a machine: the node of its engine, or the nodes with its name if the engine did not respond. */
export const nodesOf = (
  machine: string,
  nodeId: string | undefined,
  nodes: readonly SwarmNode[],
): readonly SwarmNode[] =>
  nodes.filter(({ ID, Spec }) =>
    nodeId === undefined ? Spec.Labels[machineLabel] === machine : ID === nodeId,
  )

/** Finds the changes to machines that a plan must omit, so that no swarm loses its quorum. */
export function machinesLosingQuorum(
  inventory: Pick<Inventory, 'swarms'>,
  observed: SwarmObservation,
  changes: readonly Change[],
): { readonly refused: ReadonlySet<Change>; readonly issues: readonly Issue[] } {
  const needed = neededManagers(inventory, observed, interruptionsOf(changes))
  const refused = new Set(
    changes
      .filter((change) => interruptionOf(change) !== undefined)
      .filter(({ machine }) => needed.some((manager) => manager.machine === machine)),
  )
  const issues = needed.map(({ machine, swarm, why }): Issue => {
    const actions = [...refused].filter((one) => one.machine === machine)
    const verbs = actions.map(({ action }) => action).join(' and ')
    return {
      machine,
      why: `cannot ${verbs} this machine, because it is a manager of swarm ${swarm}: ${why}`,
      hint: 'bring the other managers back online first, or select more machines as managers',
    }
  })
  return { refused, issues }
}
