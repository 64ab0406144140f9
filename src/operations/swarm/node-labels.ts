import type { NodeSpec, SwarmNode } from '../../engine/swarm/nodes.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Swarm } from '../../machine/swarms.ts'

/** The node label with the name of the machine. A node without it has not been set up by fleet. */
export const machineLabel = 'fleet.machine'

/** The node label with the keys of all labels that fleet has set on the node. Other labels are kept. */
const keysLabel = 'fleet.labels'

/**
 * The label of nodes that fleet has drained because their host will be stopped or removed. Such nodes are activated
 * later.
 */
const drainedLabel = 'fleet.drained'

/** Whether a node was drained by fleet, not by a user. */
const isDrainedByFleet = ({ Labels, Availability }: NodeSpec): boolean =>
  drainedLabel in Labels && Availability === 'drain'

/**
 * Returns a node specification with which the node gets no tasks until fleet activates it. If a user has drained or
 * paused the node, the specification does not change.
 */
export const drained = (spec: NodeSpec): NodeSpec =>
  spec.Availability === 'active'
    ? { ...spec, Labels: { ...spec.Labels, [drainedLabel]: 'true' }, Availability: 'drain' }
    : spec

/** Returns a node specification with which the node gets tasks again, if fleet has drained it. */
export function activated(spec: NodeSpec): NodeSpec {
  const { [drainedLabel]: mark, ...Labels } = spec.Labels
  if (mark === undefined) return spec
  return { ...spec, Labels, ...(isDrainedByFleet(spec) && { Availability: 'active' }) }
}

/** The labels of a cluster: the ID of the inventory, and the name of the swarm in that inventory. */
export const clusterLabels = (inventory: string, swarm: string): Record<string, string> => ({
  'fleet.id': inventory,
  'fleet.swarm': swarm,
})

/** Whether fleet has joined a node to a swarm, but has not set it up yet. Such nodes get no tasks. */
export const isUnfinished = ({ Labels, Availability }: NodeSpec): boolean =>
  !(machineLabel in Labels) && Availability === 'drain'

/** Returns the nodes that have the label of a machine. The machine's engine may no longer know its node ID. */
export const nodesLabelled = (machine: string, nodes: Iterable<SwarmNode>): readonly SwarmNode[] =>
  [...nodes].filter(({ Spec }) => Spec.Labels[machineLabel] === machine)

/**
 * Whether a machine whose engine has failed can be forced to leave its swarm and join again without losing data. This
 * requires that the swarm knows the machine's node, runs nothing on it, and does not count it as a manager. (A promoted
 * node that has not joined the managers does not count as one.) A node that a user has drained or paused must stay,
 * because the new node would get tasks.
 */
export const canRejoin = (own: readonly SwarmNode[]): boolean =>
  own.length > 0 &&
  own.every(
    ({ Spec, Status, ManagerStatus }) =>
      Status.State !== 'ready' &&
      ManagerStatus === undefined &&
      (Spec.Availability === 'active' || isDrainedByFleet(Spec) || isUnfinished(Spec)),
  )

/** Returns the labels of a node: those of its machine, and any that fleet did not set. */
function labelsFor(
  { labels: chosen }: Pick<Swarm, 'labels'>,
  { name, labels = {} }: Pick<Machine, 'name' | 'labels'>,
  before: NodeSpec['Labels'],
): Record<string, string> {
  const wanted = Object.entries(labels).filter(
    ([key]) =>
      ![machineLabel, keysLabel, drainedLabel].includes(key) &&
      (chosen === undefined || chosen.includes(key)),
  )
  const keys = wanted.map(([key]) => key).toSorted()
  const earlier = new Set([...(before[keysLabel]?.split(',') ?? []), keysLabel, drainedLabel])
  const others = Object.entries(before).filter(([key]) => !earlier.has(key))
  return Object.fromEntries([
    ...others,
    ...wanted,
    [machineLabel, name],
    ...(keys.length === 0 ? [] : [[keysLabel, keys.join(',')]]),
  ]) as Record<string, string>
}

/**
 * Returns the specification of a machine's node with its labels, activated if the node has just joined or if fleet has
 * drained it. A node that a user has drained stays drained.
 */
export function withLabels(
  swarm: Pick<Swarm, 'labels'>,
  machine: Pick<Machine, 'name' | 'labels'>,
  spec: NodeSpec,
): NodeSpec {
  return {
    ...spec,
    Labels: labelsFor(swarm, machine, spec.Labels),
    ...((isUnfinished(spec) || isDrainedByFleet(spec)) && { Availability: 'active' }),
  }
}

/** Describes the label changes of a node, such as `rack=2, remove env`; undefined if there are none. */
export function describeLabels(
  swarm: Pick<Swarm, 'labels'>,
  machine: Pick<Machine, 'name' | 'labels'>,
  spec: NodeSpec,
): string | undefined {
  const after = labelsFor(swarm, machine, spec.Labels)
  const changed = Object.entries(after).filter(([key, value]) => spec.Labels[key] !== value)
  const removed = Object.keys(spec.Labels).filter((key) => !(key in after))
  if (changed.length === 0 && removed.length === 0) return undefined
  const own = new Set([keysLabel, drainedLabel])
  const parts = [
    ...(isDrainedByFleet(spec) ? ['the node is still drained'] : []),
    ...changed.filter(([key]) => !own.has(key)).map(([key, value]) => `${key}=${value}`),
    ...removed.filter((key) => !own.has(key)).map((key) => `remove ${key}`),
  ]
  return parts.length === 0 ? 'record the label keys' : parts.join(', ')
}
