import type { SwarmNode } from '../../engine/swarm/nodes.ts'
import { UserError } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { type Swarm, rolesOf } from '../../machine/swarms.ts'
import type { Context } from '../context.ts'
import { type Cluster, type SwarmObservation, answerOf, observeSwarms } from './observe-swarms.ts'

/**
 * The state of a swarm. `degraded`: the swarm works, but a node is not ready, or a manager is not reachable.
 * `no-leader`: its managers have lost their majority. `unreachable`: no manager responds. `unknown`: no machine belongs
 * to the cluster of the inventory.
 */
type SwarmState =
  | 'healthy'
  | 'degraded'
  | 'no-leader'
  | 'unreachable'
  | 'unknown'
  | 'not-initialized'

/** A node of a swarm, with its machine. */
export interface SwarmNodeState {
  readonly swarm: string
  /** The ID of the node. */
  readonly node: string
  /** Absent if the node is not a machine in the inventory. */
  readonly machine?: string
  readonly hostname: string
  readonly role: string
  /** `ready`, `down`, `disconnected` or `unknown`. */
  readonly state: string
  /** `active`, `pause` or `drain`. */
  readonly availability: string
  /** The reachability of a manager: `reachable`, `unreachable` or `unknown`. Absent for workers. */
  readonly reachability?: string
  readonly leader: boolean
  readonly address: string
  readonly engine: string
  readonly labels: Readonly<Record<string, string>>
}

/** The state of a swarm, with the numbers of its managers and nodes. */
export interface SwarmSummary {
  readonly swarm: string
  /** The ID of the cluster in the inventory. */
  readonly id?: string
  readonly state: SwarmState
  readonly managers: number
  readonly reachableManagers: number
  readonly nodes: number
  readonly readyNodes: number
}

/** A swarm with its nodes. The list of nodes is empty if no manager responds. */
export interface SwarmStatus {
  readonly summary: SwarmSummary
  readonly nodes: readonly SwarmNodeState[]
}

function stateWithoutNodes(
  swarm: Swarm,
  machines: readonly Machine[],
  observed: SwarmObservation,
): SwarmState {
  if (swarm.id === undefined) return 'not-initialized'
  const roles = rolesOf(swarm, machines)
  const managers = machines.filter(
    (machine) => roles.get(machine.name) === 'manager' && hasHost(machine),
  )
  const answers = managers.map(({ name }) => answerOf(observed, name))
  if (answers.some((answer) => answer?.isManager === true && answer.cluster === undefined)) {
    return 'no-leader'
  }
  const isSilent = managers.some(({ name }) => observed.engines.get(name) instanceof UserError)
  return isSilent ? 'unreachable' : 'unknown'
}

const isReachable = ({ ManagerStatus }: SwarmNode): boolean =>
  ManagerStatus?.Reachability === 'reachable'

function nodeState(swarm: string, node: SwarmNode, machine: string | undefined): SwarmNodeState {
  const { ID, Spec, Description, Status, ManagerStatus } = node
  return {
    ...{ swarm, node: ID },
    ...(machine !== undefined && { machine }),
    ...{ hostname: Description.Hostname, role: Spec.Role, state: Status.State },
    availability: Spec.Availability,
    ...(ManagerStatus !== undefined && { reachability: ManagerStatus.Reachability }),
    ...{ leader: ManagerStatus?.Leader === true, address: Status.Addr },
    ...{ engine: Description.Engine.EngineVersion, labels: Spec.Labels },
  }
}

function statusOf(
  swarm: Swarm,
  { nodes }: Pick<Cluster, 'nodes'>,
  owners: ReadonlyMap<string, string>,
): SwarmStatus {
  const managers = nodes.filter(({ Spec }) => Spec.Role === 'manager')
  const counts = {
    ...{ managers: managers.length, reachableManagers: managers.filter(isReachable).length },
    ...{ nodes: nodes.length },
    readyNodes: nodes.filter(({ Status }) => Status.State === 'ready').length,
  }
  const isHealthy =
    counts.managers === counts.reachableManagers && counts.nodes === counts.readyNodes
  return {
    summary: {
      swarm: swarm.name,
      ...(swarm.id !== undefined && { id: swarm.id }),
      state: isHealthy ? 'healthy' : 'degraded',
      ...counts,
    },
    nodes: nodes.map((node) => nodeState(swarm.name, node, owners.get(node.ID))),
  }
}

/**
 * Reads the states of swarms from the engines of all machines. The nodes of each swarm are in the order of the
 * inventory.
 */
export async function readSwarmStates(
  context: Context,
  swarms: readonly Swarm[],
  machines: readonly Machine[],
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<readonly SwarmStatus[]> {
  const observed = await observeSwarms(context, machines, { timeoutMs })
  const owners = new Map(
    machines.flatMap(({ name }) => {
      const id = answerOf(observed, name)?.nodeId
      return id === undefined ? [] : [[id, name] as const]
    }),
  )
  const placeOf = ({ ID }: SwarmNode): number => {
    const owner = owners.get(ID)
    return owner === undefined ? machines.length : machines.findIndex(({ name }) => name === owner)
  }
  return swarms.map((swarm) => {
    const cluster = swarm.id === undefined ? undefined : observed.clusters.get(swarm.id)
    if (cluster !== undefined) {
      const nodes = cluster.nodes.toSorted((one, other) => placeOf(one) - placeOf(other))
      return statusOf(swarm, { nodes }, owners)
    }
    const state = stateWithoutNodes(swarm, machines, observed)
    const { summary } = statusOf(swarm, { nodes: [] }, owners)
    return { summary: { ...summary, state }, nodes: [] }
  })
}
