import type { NodeSpec, SwarmNode } from '../../engine/swarm/nodes.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Swarm } from '../../machine/swarms.ts'

/** The node label with the name of the machine. A node without it has not been set up by fleet. */
export const machineLabel = 'fleet.machine'

/** The node label with the keys of the labels that fleet has set; labels of others are kept. */
const keysLabel = 'fleet.labels'

/** The node label of nodes that fleet has drained, because their host is stopped or leaves: they become active again later. */
const drainedLabel = 'fleet.drained'

/** Whether fleet has drained a node, and not a person. */
const isDrainedByFleet = ({ Labels, Availability }: NodeSpec): boolean =>
  drainedLabel in Labels && Availability === 'drain'

/** A node that gets no tasks until fleet activates it. One that a person has drained or paused does not change. */
export const drained = (spec: NodeSpec): NodeSpec =>
  spec.Availability === 'active'
    ? { ...spec, Labels: { ...spec.Labels, [drainedLabel]: 'true' }, Availability: 'drain' }
    : spec

/** A node that gets tasks again, if fleet has drained it. */
export function activated(spec: NodeSpec): NodeSpec {
  const { [drainedLabel]: mark, ...Labels } = spec.Labels
  if (mark === undefined) return spec
  return { ...spec, Labels, ...(isDrainedByFleet(spec) && { Availability: 'active' }) }
}

/** The labels of the cluster: the ID of the inventory, and the name of the swarm in it. */
export const clusterLabels = (inventory: string, swarm: string): Record<string, string> => ({
  'fleet.id': inventory,
  'fleet.swarm': swarm,
})

/** Whether fleet has let the node join, and has not set it up yet: such nodes get no tasks. */
export const isUnfinished = ({ Labels, Availability }: NodeSpec): boolean =>
  !(machineLabel in Labels) && Availability === 'drain'

/** The nodes with the label of a machine, whose engine may not know any more which node it is. */
export const nodesLabelled = (machine: string, nodes: Iterable<SwarmNode>): readonly SwarmNode[] =>
  [...nodes].filter(({ Spec }) => Spec.Labels[machineLabel] === machine)

/**
 * Whether a machine whose engine has failed can leave its swarm by force, and join again: its swarm knows it, runs nothing on it, and
 * counts it as no manager, so that nothing is lost with its state. (A promoted node that has not joined the managers is none.) A node
 * that a person has drained or paused stays: the new one would get tasks.
 */
export const canRejoin = (own: readonly SwarmNode[]): boolean =>
  own.length > 0 &&
  own.every(
    ({ Spec, Status, ManagerStatus }) =>
      Status.State !== 'ready' &&
      ManagerStatus === undefined &&
      (Spec.Availability === 'active' || isDrainedByFleet(Spec) || isUnfinished(Spec)),
  )

/** The labels of a node: those of its machine, and those that others have set. */
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
 * The node of a machine with its labels, and activated if it has just joined, or if fleet has drained it. A node that a person has
 * drained stays so.
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

/** What changes for a node, such as `rack=2, remove env`; undefined if nothing does. */
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
