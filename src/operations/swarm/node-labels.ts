import type { NodeSpec } from '../../engine/swarm/nodes.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Swarm } from '../../machine/swarms.ts'

/** The node label with the name of the machine. A node without it has not been set up by fleet. */
export const machineLabel = 'fleet.machine'

/** The node label with the keys of the labels that fleet has set; labels of others are kept. */
const keysLabel = 'fleet.labels'

/** The labels of the cluster: the ID of the inventory, and the name of the swarm in it. */
export const clusterLabels = (inventory: string, swarm: string): Record<string, string> => ({
  'fleet.id': inventory,
  'fleet.swarm': swarm,
})

/** Whether fleet has let the node join, and has not set it up yet: such nodes get no tasks. */
export const isUnfinished = ({ Labels, Availability }: NodeSpec): boolean =>
  !(machineLabel in Labels) && Availability === 'drain'

/** The labels of a node: those of its machine, and those that others have set. */
function labelsFor(
  { labels: chosen }: Pick<Swarm, 'labels'>,
  { name, labels = {} }: Pick<Machine, 'name' | 'labels'>,
  before: NodeSpec['Labels'],
): Record<string, string> {
  const wanted = Object.entries(labels).filter(
    ([key]) =>
      key !== machineLabel && key !== keysLabel && (chosen === undefined || chosen.includes(key)),
  )
  const keys = wanted.map(([key]) => key).toSorted()
  const earlier = new Set([...(before[keysLabel]?.split(',') ?? []), keysLabel])
  const others = Object.entries(before).filter(([key]) => !earlier.has(key))
  return Object.fromEntries([
    ...others,
    ...wanted,
    [machineLabel, name],
    ...(keys.length === 0 ? [] : [[keysLabel, keys.join(',')]]),
  ]) as Record<string, string>
}

/** The node of a machine with its labels, and activated if it has just joined. A node that a person has drained stays so. */
export function withLabels(
  swarm: Pick<Swarm, 'labels'>,
  machine: Pick<Machine, 'name' | 'labels'>,
  spec: NodeSpec,
): NodeSpec {
  return {
    ...spec,
    Labels: labelsFor(swarm, machine, spec.Labels),
    ...(isUnfinished(spec) && { Availability: 'active' }),
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
  const shown = changed.filter(([key]) => key !== keysLabel)
  const parts = [
    ...shown.map(([key, value]) => `${key}=${value}`),
    ...removed.filter((key) => key !== keysLabel).map((key) => `remove ${key}`),
  ]
  return parts.length === 0 ? 'its labels are recorded' : parts.join(', ')
}
