import type { SwarmNode } from '../../engine/swarm/nodes.ts'
import type { Service } from '../../engine/swarm/services.ts'
import type { Task } from '../../engine/swarm/tasks.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { machineLabel } from '../swarm/node-labels.ts'
import { answerOf, observeSwarms } from '../swarm/observe-swarms.ts'

/** A task with its name and its machine. */
export interface PlacedTask {
  readonly task: Task
  /** The name of its service. */
  readonly service: string
  /** The name of the task: `web.1`, or `agent.web-1` for the task of a global service on the machine web-1. */
  readonly name: string
  /** Absent if the task is not on a node yet, or the node is not a machine in the inventory. */
  readonly machine?: string
}

/** How long an engine may take to report its node ID, in milliseconds. */
const nodeTimeoutMs = 5000

/**
 * Returns the names of machines, keyed by node ID. They come from the labels that fleet has set on nodes. For nodes
 * without that label, fleet asks the engines of the other machines for their node IDs.
 */
export async function machinesOfNodes(
  context: Context,
  nodes: readonly SwarmNode[],
): Promise<ReadonlyMap<string, string>> {
  const { machines } = await (await context.inventory()).read()
  const known = new Map<string, string>()
  for (const { ID, Spec } of nodes) {
    const label = Spec.Labels[machineLabel]
    if (label !== undefined && (machines as ReadonlyMap<string, Machine>).has(label)) {
      known.set(ID, label)
    }
  }
  const isComplete = nodes.every(({ ID, Status }) => known.has(ID) || Status.State !== 'ready')
  if (isComplete) return known
  const labelled = new Set(known.values())
  const others = [...machines.values()].filter(
    (machine) => hasHost(machine) && !labelled.has(machine.name),
  )
  const observed = await observeSwarms(context, others, { timeoutMs: nodeTimeoutMs })
  for (const { name } of others) {
    const node = answerOf(observed, name)?.nodeId
    if (node !== undefined) known.set(node, name)
  }
  return known
}

/**
 * Adds names and machines to the tasks of services, sorted by service and slot, with the newest task of a slot first.
 */
export async function placeTasks(
  context: Context,
  nodes: readonly SwarmNode[],
  services: readonly Pick<Service, 'ID' | 'Spec'>[],
  tasks: readonly Task[],
): Promise<readonly PlacedTask[]> {
  const used = new Set(tasks.map(({ NodeID }) => NodeID))
  const machines = await machinesOfNodes(
    context,
    nodes.filter(({ ID }) => used.has(ID)),
  )
  const placed = tasks.flatMap((task): PlacedTask[] => {
    const service = services.find(({ ID }) => ID === task.ServiceID)?.Spec.Name
    if (service === undefined) return []
    const machine = task.NodeID === undefined ? undefined : machines.get(task.NodeID)
    const suffix = task.Slot || (machine ?? task.NodeID ?? task.ID)
    return [
      {
        ...{ task, service, name: `${service}.${suffix}` },
        ...(machine !== undefined && { machine }),
      },
    ]
  })
  const order = (service: string): number => services.findIndex(({ Spec }) => Spec.Name === service)
  return placed.toSorted(
    (one, other) =>
      order(one.service) - order(other.service) ||
      (one.task.Slot ?? 0) - (other.task.Slot ?? 0) ||
      (one.name < other.name ? -1 : one.name > other.name ? 1 : 0) ||
      (one.task.CreatedAt < other.task.CreatedAt ? 1 : -1),
  )
}
