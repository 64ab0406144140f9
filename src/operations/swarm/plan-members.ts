import { UserError } from '../../errors.ts'
import type { SwarmInfo } from '../../engine/swarm/info.ts'
import type { SwarmNode } from '../../engine/swarm/nodes.ts'
import type { Machine } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { type Swarm, type SwarmRole, rolesOf } from '../../machine/swarms.ts'
import type { Change, Issue, PlannedSwarmChange } from '../plan/change-plan.ts'
import {
  canRejoin,
  clusterLabels,
  describeLabels,
  isUnfinished,
  machineLabel,
  nodesLabelled,
} from './node-labels.ts'
import { type Cluster, type SwarmObservation, answerOf, reasonOf } from './observe-swarms.ts'
import { managersAmong, quorumLoss } from './quorum.ts'

/** The state from which the changes to a swarm are planned. */
export interface SwarmSituation extends SwarmObservation {
  /** The ID of the inventory. */
  readonly inventory: string
  readonly machines: ReadonlyMap<MachineName, Machine>
  /** The changes to machines, which are made first. */
  readonly changes: readonly Change[]
  /** Machines that did not respond. The plan already has an issue for each of them. */
  readonly unreachable: ReadonlySet<string>
  /** Machines that several swarms select. Nothing changes for these machines. */
  readonly ambiguous: ReadonlySet<string>
  /** The names of the selected machines; if absent, all machines. */
  readonly chosen?: ReadonlySet<string> | undefined
}

/** The planned changes to a swarm, in the order in which they are made, and the issues found. */
export interface SwarmPart {
  readonly changes: readonly PlannedSwarmChange[]
  readonly issues: readonly Issue[]
}

/**
 * The order in which changes are made. Managers join before workers; nodes are demoted and leave after others have
 * joined.
 */
const phases: readonly ((change: PlannedSwarmChange) => boolean)[] = [
  ({ action }) => action === 'open-ports',
  ({ action }) => action === 'init' || action === 'record',
  ({ action, role }) => (action === 'join' && role === 'manager') || action === 'promote',
  ({ action, role }) => action === 'join' && role === 'worker',
  ({ action }) => action === 'label',
  ({ action }) => action === 'remove-node',
  ({ action }) => action === 'demote',
  ({ action }) => action === 'leave',
  ({ action }) => action === 'close-ports',
  ({ action }) => action === 'autolock',
]

/** Groups changes by phase, in the order in which they are made. */
export const inPhases = (
  changes: readonly PlannedSwarmChange[],
): readonly (readonly PlannedSwarmChange[])[] =>
  phases.map((matches) => changes.filter(matches)).filter((phase) => phase.length > 0)

/** Returns the change that provides a new host for a machine; undefined if the plan has none. */
export function newHostOf(
  changes: readonly Change[],
  machine: string,
): PlannedSwarmChange['after'] {
  const actions = new Set(
    changes.filter((one) => one.machine === machine).map(({ action }) => action),
  )
  return (['replace', 'create', 'adopt'] as const).find((action) => actions.has(action))
}

const isStarted = (changes: readonly Change[], machine: string): boolean =>
  changes.some((one) => one.machine === machine && one.action === 'start')

export const isRemoved = (changes: readonly Change[], machine: string): boolean =>
  changes.some((one) => one.machine === machine && one.action === 'remove')

/** Formats a list of machines for a sentence. */
const listed = (names: readonly string[]): string => names.join(', ')

/** The cluster of a swarm, or the change that initializes or records it, or the issues that prevent this. */
type Beginning =
  | { readonly cluster: Cluster; readonly change?: PlannedSwarmChange }
  | { readonly change: PlannedSwarmChange }
  | { readonly issues: readonly Issue[] }

/** Finds the cluster whose ID is in the inventory. If no machine belongs to it, no new cluster is initialized. */
function findRecorded(swarm: Swarm, id: string, roles: Roles, at: SwarmSituation): Beginning {
  const cluster = at.clusters.get(id)
  if (cluster !== undefined) return { cluster }
  const managers = [...roles.keys()].filter((name) => roles.get(name) === 'manager')
  const silent = managers.filter(
    (name) => at.engines.get(name) instanceof UserError || isStarted(at.changes, name),
  )
  const locked = managers.filter((name) => answerOf(at, name)?.state === 'locked')
  const leaderless = managers.filter((name) => {
    const answer = answerOf(at, name)
    return answer?.isManager === true && answer.cluster === undefined
  })
  if (leaderless.length > 0) {
    return {
      issues: [
        {
          why: `swarm ${swarm.name} has no leader: ${listed(leaderless)} cannot reach a majority of the swarm's managers`,
          hint: `start the other managers (see fleet status); if they no longer exist: fleet swarm recover ${swarm.name}`,
        },
      ],
    }
  }
  if (locked.length > 0) {
    return {
      issues: [
        {
          why: `swarm ${swarm.name} has locked managers: ${listed(locked)}`,
          hint: `to unlock the swarm: fleet swarm unlock ${swarm.name}`,
        },
      ],
    }
  }
  if (silent.length > 0) {
    return {
      issues: [
        {
          why: `no manager of swarm ${swarm.name} responded: ${listed(silent)}`,
          hint: `to see the managers' state: fleet status ${silent.join(' ')}`,
        },
      ],
    }
  }
  return {
    issues: [
      {
        why: `no machine belongs to cluster ${id} of swarm ${swarm.name}`,
        hint: 'if the cluster no longer exists, remove the "id:" line from the swarm\'s entry; fleet apply will then initialize a new cluster',
      },
    ],
  }
}

/** Finds a cluster that has been initialized but not recorded, or plans to initialize a new one. */
function begin(swarm: Swarm, roles: Roles, at: SwarmSituation): Beginning {
  const { name } = swarm
  const labels = Object.entries(clusterLabels(at.inventory, name))
  const own = [...at.clusters.values()].filter((cluster) =>
    labels.every(([key, value]) => cluster.labels[key] === value),
  )
  const [cluster, second] = own
  if (cluster !== undefined && second !== undefined) {
    const why = `swarm ${name} has two clusters: ${cluster.id} on ${cluster.manager} and ${second.id} on ${second.manager}`
    const hint =
      'disband one of the clusters: run fleet -m NAME docker swarm leave --force for each of its machines'
    return { issues: [{ why, hint }] }
  }
  if (cluster !== undefined) {
    const why = `the ID ${cluster.id} is not in the inventory`
    return {
      cluster,
      change: { swarm: name, machine: cluster.manager, action: 'record', why },
    }
  }
  const managers = [...roles.keys()].filter((machine) => roles.get(machine) === 'manager')
  const foreign = [...roles.keys()].filter(
    (machine) => newHostOf(at.changes, machine) === undefined && isInSwarm(answerOf(at, machine)),
  )
  if (foreign.length > 0) {
    return {
      issues: foreign.map((machine) => {
        const id = answerOf(at, machine)?.cluster?.id
        const manage =
          id === undefined ? '' : `to manage that swarm with fleet, add "id: ${id}" to the entry; `
        return {
          ...{ machine, why: `the machine is in a swarm other than ${name}` },
          hint: `${manage}to make the machine leave the swarm: fleet -m ${machine} docker swarm leave --force`,
        }
      }),
    }
  }
  const silent = managers.filter((machine) => at.engines.get(machine) instanceof UserError)
  const starting = managers.filter((machine) => isStarted(at.changes, machine))
  if (silent.length + starting.length > 0) {
    const why = `swarm ${name} cannot be initialized yet: ${listed([...silent, ...starting])} may already be in a swarm`
    return { issues: [{ why, hint: 'run fleet apply again when all managers are running' }] }
  }
  const ready = managers.filter(
    (machine) => answerOf(at, machine) !== undefined || newHostOf(at.changes, machine),
  )
  const first = ready.find((machine) => at.chosen === undefined || at.chosen.has(machine))
  if (first === undefined) {
    if (ready.length === 0) return { issues: [] }
    const why = `swarm ${name} is not initialized, and none of its managers is selected`
    return { issues: [{ why, hint: `also select one of these managers: ${listed(ready)}` }] }
  }
  const after = newHostOf(at.changes, first)
  return {
    change: {
      ...{ swarm: name, machine: first, action: 'init' },
      why: 'the swarm does not exist yet',
      ...(after !== undefined && { after }),
    },
  }
}

type Roles = ReadonlyMap<string, SwarmRole>

const isInSwarm = (info: SwarmInfo | undefined): boolean =>
  info !== undefined && (info.nodeId !== undefined || info.state !== 'inactive')

const rejoinHint = (machine: string): string =>
  `to make the machine rejoin: fleet -m ${machine} docker swarm leave --force && fleet apply`

/** Describes why an engine is in the state `error`. */
const describeFailure = ({ error }: SwarmInfo): string =>
  `the node cannot take part in its swarm: ${reasonOf(new Error(error))}`

const describeForcedLeave = (info: SwarmInfo): string =>
  `${describeFailure(info)}; the node is down, so the machine will be forced to leave the swarm`

/** Plans the changes that make a machine a member with the right role. */
function planMember(
  swarm: Swarm,
  { machine, role }: { readonly machine: Machine; readonly role: SwarmRole },
  nodes: ReadonlyMap<string, SwarmNode>,
  at: SwarmSituation,
): SwarmPart {
  const { name } = machine
  const change = (
    action: PlannedSwarmChange['action'],
    why: string,
    more: Partial<PlannedSwarmChange> = {},
  ): PlannedSwarmChange => ({ swarm: swarm.name, machine: name, action, ...more, why })
  const issue = (why: string, hint: string): SwarmPart => ({
    changes: [],
    issues: [{ machine: name, why, hint }],
  })
  const nothing = { changes: [], issues: [] }
  const after = newHostOf(at.changes, name)
  if (after !== undefined) {
    const join = change('join', 'the machine is not in the swarm', { role, after })
    return { changes: [join], issues: [] }
  }
  // A machine that is to be stopped may still respond. Its node is then drained in order to stop it.
  if (isStarted(at.changes, name) || machine.stopped === true) return nothing
  if (!at.engines.has(name)) return nothing
  const info = answerOf(at, name)
  if (info === undefined) {
    if (at.unreachable.has(name)) return nothing
    const why = `could not compare swarm ${swarm.name} with the host: ${reasonOf(at.engines.get(name))}`
    return issue(why, `to see the machine's state: fleet status ${name}`)
  }
  const rejoin = rejoinHint(name)
  if (info.state === 'locked') {
    return issue('the swarm is locked', `to unlock the swarm: fleet swarm unlock ${swarm.name}`)
  }
  if (info.state === 'error') {
    if (!canRejoin(nodesLabelled(name, nodes.values()))) return issue(describeFailure(info), rejoin)
    const join = change('join', `${describeForcedLeave(info)} before it joins again`, { role })
    return { changes: [join], issues: [] }
  }
  if (info.state === 'pending') {
    const join = change('join', 'the machine has not finished joining', { role })
    return { changes: [join], issues: [] }
  }
  if (info.nodeId === undefined) {
    return { changes: [change('join', 'the machine is not in the swarm', { role })], issues: [] }
  }
  const node = nodes.get(info.nodeId)
  if (node === undefined) {
    const wasRemoved = info.managers.some((id) => nodes.has(id))
    return issue(
      wasRemoved
        ? `this machine's node ${info.nodeId} was removed from swarm ${swarm.name}`
        : `the machine is in a swarm other than ${swarm.name}`,
      rejoin,
    )
  }
  const labels = describeLabels(swarm, machine, node.Spec)
  const activates = isUnfinished(node.Spec)
  const changes = [
    ...(node.Spec.Role === role
      ? []
      : [
          change(
            role === 'manager' ? 'promote' : 'demote',
            `the inventory selects the machine as a ${role}`,
            {
              node: node.ID,
            },
          ),
        ]),
    ...(labels === undefined
      ? []
      : [
          change('label', activates ? `the machine has not finished joining: ${labels}` : labels, {
            node: node.ID,
          }),
        ]),
  ]
  return { changes, issues: [] }
}

/**
 * Plans the changes for the node that has the label of a machine whose engine does not report its node ID, because the
 * engine is locked, has failed, or is joining. The machine may still be this node. `isLeaving`: whether the swarm does
 * not select the machine.
 */
function planSilentNode(
  { name: swarm }: Swarm,
  {
    labelled: machine,
    node,
    answer,
    isLeaving,
  }: {
    readonly labelled: string
    readonly node: string
    readonly answer: SwarmInfo
    readonly isLeaving: boolean
  },
  nodes: readonly SwarmNode[],
): SwarmPart {
  if (answer.state !== 'error') return { changes: [], issues: [] }
  if (canRejoin(nodesLabelled(machine, nodes))) {
    const [action, why] = isLeaving
      ? ([
          'leave',
          `swarm ${swarm} does not select the machine, and ${describeForcedLeave(answer)}`,
        ] as const)
      : (['remove-node', "the node is down, and the machine's engine has failed"] as const)
    return { changes: [{ swarm, machine, action, node, why }], issues: [] }
  }
  if (!isLeaving) return { changes: [], issues: [] }
  const hint = `to make the machine leave the swarm: fleet -m ${machine} docker swarm leave --force && fleet apply`
  return { changes: [], issues: [{ machine, why: describeFailure(answer), hint }] }
}

/** Plans the changes for nodes that do not belong to members. */
function planOthers(
  swarm: Swarm,
  { manager, nodes }: Cluster,
  roles: Roles,
  at: SwarmSituation,
): SwarmPart {
  const names = [...at.machines.keys()] as string[]
  const owners = new Map<string, string>()
  for (const name of names) {
    const id = answerOf(at, name)?.nodeId
    if (id !== undefined) owners.set(id, name)
  }
  const allAnswer = [...at.engines.values()].every((answer) => !(answer instanceof UserError))
  const changes: PlannedSwarmChange[] = []
  const issues: Issue[] = []
  for (const { ID: node, Spec, Description, Status } of nodes) {
    const owner = owners.get(node)
    if (owner !== undefined) {
      if (roles.has(owner) || at.ambiguous.has(owner) || isRemoved(at.changes, owner)) continue
      const why = `swarm ${swarm.name} does not select the machine`
      changes.push({ swarm: swarm.name, machine: owner, action: 'leave', node, why })
      continue
    }
    const labelled = Spec.Labels[machineLabel]
    if (labelled !== undefined && names.includes(labelled)) {
      const answer = answerOf(at, labelled)
      if (answer === undefined || newHostOf(at.changes, labelled) !== undefined) continue
      if (answer.nodeId === undefined && answer.state !== 'inactive') {
        if (at.ambiguous.has(labelled)) continue
        const isLeaving = !roles.has(labelled) && !isRemoved(at.changes, labelled)
        const part = planSilentNode(swarm, { labelled, node, answer, isLeaving }, nodes)
        changes.push(...part.changes)
        issues.push(...part.issues)
        continue
      }
      const why = `the machine is no longer node ${node}`
      changes.push({ swarm: swarm.name, machine: labelled, action: 'remove-node', node, why })
    } else if (labelled !== undefined || allAnswer) {
      const demote =
        Spec.Role === 'manager' ? `fleet -m ${manager} docker node demote ${node} && ` : ''
      issues.push({
        why: `node ${node} in swarm ${swarm.name} (host ${Description.Hostname || 'unknown'}, ${Status.State}) does not belong to a machine in the inventory`,
        hint: `if the node's host no longer exists: ${demote}fleet -m ${manager} docker node rm --force ${node}`,
      })
    }
  }
  return { changes, issues }
}

/** Plans to turn autolock on or off. */
const planAutolock = (
  { name: swarm, autolock }: Swarm,
  cluster: Cluster,
): readonly PlannedSwarmChange[] =>
  autolock === undefined || autolock === (cluster.autolock ?? false)
    ? []
    : [
        {
          ...{ swarm, machine: cluster.manager, action: 'autolock' },
          why: `the inventory sets "autolock: ${autolock}"`,
        },
      ]

/** Omits changes that would leave no majority of the managers reachable. */
function keepQuorum(
  changes: readonly PlannedSwarmChange[],
  nodes: readonly SwarmNode[],
): SwarmPart {
  const managers = managersAmong(nodes)
  const issues: Issue[] = []
  const kept = changes.filter(({ action, machine, node = machine, role, swarm }) => {
    if (action === 'init' || action === 'promote' || (action === 'join' && role === 'manager')) {
      managers.set(node, true)
    }
    if (action !== 'demote' && action !== 'leave' && action !== 'remove-node') return true
    if (!managers.has(node)) return true
    const loss = quorumLoss(managers, new Set([node]))
    if (loss === undefined) {
      managers.delete(node)
      return true
    }
    const verb = { demote: 'be demoted', leave: 'leave', 'remove-node': 'be removed' }[action]
    issues.push({
      machine,
      why: `${action === 'remove-node' ? `its old node ${node}` : 'the machine'} would have to ${verb}, but swarm ${swarm} needs it: ${loss}`,
      hint: 'bring the other managers back online first, or select more machines as managers',
    })
    return false
  })
  return { changes: kept, issues }
}

/** Plans the changes to one swarm. Pure. */
export function planSwarm(swarm: Swarm, at: SwarmSituation): SwarmPart {
  const all = rolesOf(swarm, at.machines.values())
  const roles = new Map(
    [...all].filter(([name]) => !at.ambiguous.has(name) && !isRemoved(at.changes, name)),
  )
  const beginning =
    swarm.id === undefined ? begin(swarm, roles, at) : findRecorded(swarm, swarm.id, roles, at)
  if ('issues' in beginning) return { changes: [], issues: beginning.issues }
  const cluster = 'cluster' in beginning ? beginning.cluster : undefined
  const nodes = new Map(cluster?.nodes.map((node) => [node.ID, node]))
  const first = beginning.change
  const parts = [...roles].flatMap(([name, role]): SwarmPart[] => {
    const machine = at.machines.get(name)
    if (machine === undefined || (first?.action === 'init' && first.machine === name)) return []
    return [planMember(swarm, { machine, role }, nodes, at)]
  })
  if (cluster !== undefined) {
    parts.push(planOthers(swarm, cluster, roles, at))
    parts.push({ changes: planAutolock(swarm, cluster), issues: [] })
  }
  const pools = cluster?.addressPools ?? []
  const pool = swarm.addressPool
  const ordered = inPhases([
    ...(first === undefined ? [] : [first]),
    ...parts.flatMap(({ changes }) => changes),
  ]).flat()
  const kept = keepQuorum(ordered, cluster?.nodes ?? [])
  return {
    changes: kept.changes,
    issues: [
      ...parts.flatMap(({ issues }) => issues),
      ...(pool === undefined || cluster === undefined || pools.includes(pool)
        ? []
        : [
            {
              why: `swarm ${swarm.name} has the address pool ${listed(pools) || '10.0.0.0/8'}, not ${pool}; address pools cannot be changed`,
              hint: 'restore "addressPool" in the swarm\'s entry',
            },
          ]),
      ...kept.issues,
    ],
  }
}
