import type { Engine } from '../../engine/engine.ts'
import { updateCluster } from '../../engine/swarm/cluster.ts'
import { type SwarmInfo, readSwarmInfo } from '../../engine/swarm/info.ts'
import { initSwarm, joinSwarm, leaveSwarm, readJoinTokens } from '../../engine/swarm/membership.ts'
import { type SwarmNode, countTasks, removeNode, updateNode } from '../../engine/swarm/nodes.ts'
import { UserError } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { type Swarm, type SwarmRole, rolesOf } from '../../machine/swarms.ts'
import type { Progress } from '../../os/progress.ts'
import { poll, retry } from '../../os/retry.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { addressOf, checkBeforeJoin } from './check-ports.ts'
import { findMachine } from '../inventory/choose-machines.ts'
import type { PlannedSwarmChange } from '../plan/change-plan.ts'
import { type Manager, findManager, initializedSwarm } from './find-manager.ts'
import { freePool, poolOverlaps, readNetworks } from './host-networks.ts'
import { memberAddress } from './member-address.ts'
import { closePorts, openPorts } from './member-ports.ts'
import {
  canRejoin,
  clusterLabels,
  drained,
  machineLabel,
  nodesLabelled,
  withLabels,
} from './node-labels.ts'
import { managersAmong, quorumLoss } from './quorum.ts'

/** Callbacks of the work on one machine. */
export interface SwarmCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
  /** How long the tasks of a node that is drained may take to end, in milliseconds; 0: they are not waited for. */
  readonly drainMs?: number
}

/** How long a node may take to reach the state that it should have, in milliseconds. */
const nodeMs = 60_000

/** How long the others may take to reach a new manager, in milliseconds. If its engine fails, it takes 40 s until its node is down. */
const promotionMs = 120_000

/** How long the tasks of a node may take to end by default, in milliseconds. */
const defaultDrainMs = 5 * 60_000

/** The pause between checks, in milliseconds. */
const pauseMs = 250

/** The work on one machine. */
export interface Work extends SwarmCalls {
  readonly context: Context
  readonly swarm: string
  readonly machine: Machine
  /** Machines that may leave the swarm during this work, including this one: other managers are asked first. Absent: none leaves. */
  readonly leaving?: ReadonlySet<string>
}

const engineOf = ({ context, machine, signal }: Work): Promise<Engine> =>
  context.with({ signal }).engine(machine)

/** Waits until `check` has a result. Errors in between are normal: leaders change, and engines are busy. */
export async function waitFor<Value>(
  { signal, machine }: Work,
  check: () => Promise<Value | undefined>,
  problem: () => string,
  {
    limitMs = nodeMs,
    hint = 'run fleet apply again; to see the engine log, run on the host: journalctl -u docker',
  }: { readonly limitMs?: number; readonly hint?: string } = {},
): Promise<Value> {
  return poll<Value | undefined>(() => check().catch(ignored('engine', 'check a node')), {
    ...{ signal, pauseMs, withinMs: limitMs },
    otherwise: () => {
      throw new UserError('failed', problem(), {
        machine: machine.name,
        hint,
      })
    },
  }).then((value) => value as Value)
}

/** How long managers may take to elect a leader, in milliseconds. Until then, none of them answers. */
const electionMs = 60_000

/** A manager that answers, and stays a manager. */
export const managerOf = ({ context, swarm, leaving, signal }: Work): Promise<Manager> =>
  retry(() => findManager(context, swarm, { signal, ...(leaving && { leaving }) }), {
    ...{ signal, pauseMs, withinMs: electionMs },
    canRetry: (error) => error instanceof UserError && error.kind === 'failed',
  })

/** A node of a swarm; undefined if no manager lists it. */
async function findNode(work: Work, node: string): Promise<SwarmNode | undefined> {
  const { nodes } = await managerOf(work)
  return nodes.find(({ ID }) => ID === node)
}

/** Records the ID of a cluster in the inventory. */
async function recordId({ context, swarm, machine }: Work, id: string): Promise<void> {
  const store = await context.inventory()
  await store.updateSwarm(swarm, (entry) => {
    if (entry === undefined)
      throw new UserError('usage', `swarm ${swarm} is no longer in the inventory`)
    if (entry.id === undefined || entry.id === id) return { ...entry, id }
    throw new UserError(
      'failed',
      `swarm ${swarm} has the ID ${entry.id} in the inventory, but ${machine.name} initialized a swarm with the ID ${id}`,
      {
        machine: machine.name,
        hint: `another user initialized the swarm at the same time; to make ${machine.name} leave its swarm: fleet -m ${machine.name} docker swarm leave --force`,
      },
    )
  })
}

const hasLabels = (info: SwarmInfo, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(labels).every(([key, value]) => info.cluster?.labels[key] === value)

/** The address of the first manager, and the network of the swarm's overlay networks. */
async function chooseNetworks(
  { context, machine, signal }: Work,
  { id: _id, ...swarm }: Swarm,
  machines: Iterable<Machine>,
): Promise<{ readonly advertise: string; readonly addressPool: string }> {
  const all = [...machines]
  const roles = rolesOf(swarm, all)
  const members = all.filter((one) => roles.has(one.name) && hasHost(one) && one.stopped !== true)
  const known = await Promise.all(
    members.map(async (one) => ({ one, networks: await readNetworks(context, one, signal) })),
  )
  const hosts = known.map(({ networks }) => networks)
  const own = known.find(({ one }) => one.name === machine.name)
  if (own === undefined) throw new Error(`${machine.name} is not a member of swarm ${swarm.name}`)
  const peers = known.filter((one) => one !== own).map(({ networks: { addresses } }) => addresses)
  const advertise = await memberAddress(
    machine,
    own.networks,
    peers.map((addresses) => addresses.map(({ address }) => address)),
  )
  const given = swarm.addressPool
  const overlapping = known.find(
    ({ networks }) => given !== undefined && poolOverlaps(given, [networks]),
  )
  if (given !== undefined && overlapping !== undefined) {
    const why = `swarm ${swarm.name}'s address pool ${given} overlaps a route on ${overlapping.one.name}`
    throw new UserError('failed', why, {
      machine: machine.name,
      hint: "set another addressPool in the swarm's entry",
    })
  }
  const addressPool = given ?? freePool(hosts)
  if (addressPool !== undefined) return { advertise, addressPool }
  const why = `no subnet of 10.0.0.0/8 is free on all machines in swarm ${swarm.name}`
  throw new UserError('failed', why, {
    machine: machine.name,
    hint: "set addressPool in the swarm's entry",
  })
}

/** Initializes a swarm on its first manager, and records its ID. */
async function initialize(work: Work): Promise<void> {
  const { context, progress, signal } = work
  const inventory = await (await context.inventory()).read()
  const swarm = inventory.swarms.get(work.swarm)
  if (swarm === undefined)
    throw new UserError('usage', `swarm ${work.swarm} is no longer in the inventory`)
  const labels = clusterLabels(inventory.id, swarm.name)
  const engine = await engineOf(work)
  const before = await readSwarmInfo(engine, signal)
  if (before.nodeId === undefined && swarm.id === undefined) {
    progress('choose the networks')
    const networks = await chooseNetworks(work, swarm, inventory.machines.values())
    progress('initialize the swarm')
    await initSwarm(engine, { ...networks, labels, autolock: swarm.autolock === true }, signal)
  }
  await record(work)
  await finishNode(work)
}

/** Records the ID of the cluster that a machine has initialized. */
async function record(work: Work): Promise<void> {
  const { context, machine, progress, signal } = work
  progress('record the swarm ID')
  const { id: inventory } = await (await context.inventory()).read()
  const engine = await engineOf(work)
  const problem = () => `${machine.name} did not become the manager of a new swarm`
  const info = await waitFor(
    work,
    async () => {
      const found = await readSwarmInfo(engine, signal)
      return found.cluster === undefined ? undefined : found
    },
    problem,
  )
  if (info.cluster === undefined || !hasLabels(info, clusterLabels(inventory, work.swarm))) {
    throw new UserError('failed', `the engine is in a swarm other than ${work.swarm}`, {
      machine: machine.name,
      hint: 'make a new plan: fleet plan',
    })
  }
  await recordId(work, info.cluster.id)
}

/** Sets the labels of a node, and then lets it get tasks if it has just joined. */
async function finishNode(work: Work, known?: string): Promise<void> {
  const { context, machine, progress, signal } = work
  progress('set node labels')
  const { nodeId = known } = await readSwarmInfo(await engineOf(work), signal)
  const { swarm } = await initializedSwarm(context, work.swarm)
  const { engine, nodes } = await managerOf(work)
  if (nodeId === undefined || !nodes.some(({ ID }) => ID === nodeId)) {
    throw new UserError('failed', `the machine is not a node in swarm ${work.swarm}`, {
      machine: machine.name,
      hint: 'make a new plan: fleet plan',
    })
  }
  await updateNode(engine, nodeId, (spec) => withLabels(swarm, machine, spec), signal)
}

/** The error that an engine reports about its swarm, at the end of a message. */
const engineError = (error: string): string => (error === '' ? '' : `; engine error: ${error}`)

/**
 * Waits until the others reach a manager: without that, one more failure could stop the swarm. Returns `failed` if its engine has
 * failed, and the swarm counts it as down.
 */
async function waitUntilReachable(work: Work, node: string): Promise<'reachable' | 'failed'> {
  work.progress('wait until the new manager is reachable')
  let error = ''
  return waitFor<'reachable' | 'failed'>(
    work,
    async () => {
      const { nodes } = await managerOf(work)
      const found = nodes.find(({ ID }) => ID === node)
      if (found?.ManagerStatus?.Reachability === 'reachable') return 'reachable'
      const info = await readSwarmInfo(await engineOf(work), work.signal)
      error = info.error
      if (info.state !== 'error') return undefined
      return canRejoin(nodesLabelled(work.machine.name, nodes)) ? 'failed' : undefined
    },
    () =>
      `the other managers could not reach this machine within ${promotionMs / 1000} s${engineError(error)}`,
    { limitMs: promotionMs },
  )
}

/**
 * Lets a machine whose engine has failed leave by force: its swarm counts it as down. Throws kind `failed` if the swarm still counts
 * on it.
 */
async function leaveFailed(work: Work, engine: Engine): Promise<void> {
  const { machine, progress, signal } = work
  const { nodes } = await managerOf(work)
  // Docker starts the node again and again: one that has joined in the meantime must not leave.
  const { state, error } = await readSwarmInfo(engine, signal)
  if (state !== 'error') {
    throw new UserError('failed', 'the engine has started the node in the meantime', {
      ...{ machine: machine.name, hint: 'run fleet apply again' },
    })
  }
  if (!canRejoin(nodesLabelled(machine.name, nodes))) {
    throw new UserError('failed', `the node cannot take part in swarm ${work.swarm}: ${error}`, {
      machine: machine.name,
      hint: `to make the machine leave: fleet -m ${machine.name} docker swarm leave --force; then run fleet apply`,
    })
  }
  progress('force the machine to leave the swarm')
  await leaveSwarm(engine, signal, { force: true })
}

/** The managers that a joining machine must reach. */
async function peersOf(
  { context }: Work,
  nodes: readonly SwarmNode[],
): Promise<readonly { readonly machine?: Machine | undefined; readonly address: string }[]> {
  const { machines } = await (await context.inventory()).read()
  return nodes
    .filter(({ ManagerStatus }) => ManagerStatus?.Reachability === 'reachable')
    .map((node) => ({
      address: addressOf(node),
      machine: [...machines.values()].find(({ name }) => name === node.Spec.Labels[machineLabel]),
    }))
}

/** Lets a machine join, drained; sets its labels; then lets it get tasks. */
async function join(work: Work, role: SwarmRole): Promise<void> {
  const { context, machine, progress, signal } = work
  const joiner = await engineOf(work)
  let before = await readSwarmInfo(joiner, signal)
  if (before.state === 'error') {
    await leaveFailed(work, joiner)
    before = await readSwarmInfo(joiner, signal)
  }
  if (before.nodeId === undefined && before.state === 'inactive') {
    progress('choose the node address')
    const networks = await readNetworks(context, machine, signal)
    const { engine, nodes } = await managerOf(work)
    const managers = nodes.flatMap(({ ManagerStatus }) =>
      ManagerStatus?.Reachability === 'reachable' ? ManagerStatus.Addr : [],
    )
    const peers = managers.map((address) => [address.replace(/:\d+$/, '')])
    const advertise = await memberAddress(machine, networks, peers)
    progress('check the ports')
    await checkBeforeJoin(context, { machine, advertise }, await peersOf(work, nodes), signal)
    progress('join the swarm')
    const { [role]: token } = await readJoinTokens(engine, signal)
    await joinSwarm(joiner, { advertise, managers, token }, signal).catch((error: unknown) => {
      if (!(error instanceof UserError) || error.kind !== 'failed') throw error
      throw new UserError(
        'failed',
        `the machine cannot join swarm ${work.swarm}: ${error.message}`,
        {
          machine: machine.name,
          hint: `check that ${machine.name} can reach ${managers.join(', ')}, that the managers can reach ${advertise}, and that ports 2377/tcp, 7946/tcp+udp and 4789/udp are open between them; to stop the attempt: fleet -m ${machine.name} docker swarm leave --force`,
          cause: error,
        },
      )
    })
  }
  progress('wait until the machine has joined')
  let error = ''
  const node = await waitFor(
    work,
    async () => {
      const { state, nodeId, error: reported } = await readSwarmInfo(joiner, signal)
      error = reported
      if (state !== 'active' || nodeId === undefined) return undefined
      return (await findNode(work, nodeId)) === undefined ? undefined : nodeId
    },
    () =>
      `the machine did not become a node in swarm ${work.swarm} within ${nodeMs / 1000} s${engineError(error)}`,
  )
  if (role === 'manager') await promote(work, node)
  await finishNode(work)
}

/**
 * Makes a node a manager. If its engine cannot start one, it leaves and joins again as a manager: an engine that has to try again looks
 * for the manager with which it once joined, even if that one is gone for good.
 */
async function promote(work: Work, node: string): Promise<void> {
  const { progress, signal } = work
  const { engine, nodes } = await managerOf(work)
  const isManager = nodes.some(({ ID, Spec }) => ID === node && Spec.Role === 'manager')
  if (!isManager) {
    progress('promote the node to manager')
    await updateNode(engine, node, (spec) => ({ ...spec, Role: 'manager' }), signal)
  }
  if ((await waitUntilReachable(work, node)) === 'reachable') return
  await leaveFailed(work, await engineOf(work))
  await removeGoneNode(work, node)
  await join(work, 'manager')
}

/** Throws kind `failed` if the majority of the managers would not be reachable without a node. */
function checkQuorum({ swarm, machine }: Work, nodes: readonly SwarmNode[], node: string): void {
  const managers = managersAmong(nodes)
  const loss = managers.has(node) ? quorumLoss(managers, new Set([node])) : undefined
  if (loss === undefined) return
  throw new UserError('failed', `swarm ${swarm} needs this machine as a manager: ${loss}`, {
    machine: machine.name,
    hint: 'bring the other managers back online first, or select more machines as managers',
  })
}

/** Makes a manager a worker, if the others have a majority without it, and waits until they have removed it. */
export async function demote(work: Work, node: string): Promise<void> {
  const { progress, signal } = work
  const { engine, nodes } = await managerOf(work)
  checkQuorum(work, nodes, node)
  progress('demote the node to worker')
  if (nodes.some(({ ID, Spec }) => ID === node && Spec.Role === 'manager')) {
    // An interrupted promotion: the managers refuse to demote a node that has not joined them yet.
    await waitFor(
      work,
      async () => (await findNode(work, node))?.ManagerStatus,
      () => `the node was promoted, but did not become a manager within ${nodeMs / 1000} s`,
    )
  }
  await updateNode(engine, node, (spec) => ({ ...spec, Role: 'worker' }), signal)
  await waitFor(
    work,
    async () => {
      const found = await findNode(work, node)
      return found?.ManagerStatus === undefined ? true : undefined
    },
    () => `the node was still a manager after ${nodeMs / 1000} s`,
  )
}

/** Waits until a demoted node has noticed it: until then, its engine does not leave without force. */
async function waitUntilWorker(work: Work, engine: Engine): Promise<void> {
  await waitFor(
    work,
    async () => ((await readSwarmInfo(engine, work.signal)).isManager ? undefined : true),
    () => `the engine was still a manager after ${nodeMs / 1000} s`,
  )
}

/** Removes a node that is down from the list, after its role as manager. */
async function removeGoneNode(work: Work, node: string): Promise<void> {
  const { progress, signal } = work
  progress('wait until the node is down')
  const found = await waitFor(
    work,
    async () => {
      const listed = await findNode(work, node)
      return listed === undefined || listed.Status.State === 'down' ? { listed } : undefined
    },
    () => `node ${node} was not down after ${nodeMs / 1000} s`,
  )
  if (found.listed === undefined) return
  // The managers refuse to demote a node that was promoted but has not joined them, and remove it as it is.
  if (found.listed.ManagerStatus !== undefined) await demote(work, node)
  progress('remove the node')
  const { engine, nodes } = await managerOf(work)
  if (nodes.some(({ ID }) => ID === node)) await removeNode(engine, node, signal)
}

/** Waits until no task of a drained node runs any more. */
export async function waitForTasks(work: Work, node: string): Promise<void> {
  const { drainMs = defaultDrainMs, machine, signal } = work
  if (drainMs === 0) return
  await waitFor(
    work,
    async () => {
      const { engine } = await managerOf(work)
      return (await countTasks(engine, node, signal)) === 0 ? true : undefined
    },
    () => `the node's tasks did not stop within ${drainMs / 1000} s`,
    {
      limitMs: drainMs,
      hint: `to see the tasks: fleet -m ${machine.name} ps; to wait longer: --drain-timeout; to skip draining: --no-drain`,
    },
  )
}

/** Lets a machine leave: as a worker, drained, and removed from the list of nodes. */
export async function leave(work: Work, node: string): Promise<void> {
  const { progress, signal } = work
  const leaver = await engineOf(work)
  const info = await readSwarmInfo(leaver, signal)
  const { nodeId } = info
  if (nodeId === node) {
    const listed = await findNode(work, node)
    if (listed?.Spec.Role === 'manager' || listed?.ManagerStatus !== undefined) {
      await demote(work, node)
    }
    await waitUntilWorker(work, leaver)
    progress('drain the node')
    await updateNode((await managerOf(work)).engine, node, drained, signal)
    await waitForTasks(work, node)
    progress('leave the swarm')
    await leaveSwarm(leaver, signal)
  } else if (info.state === 'error') await leaveFailed(work, leaver)
  await removeGoneNode(work, node)
}

/** Removes a node that a machine no longer is. Throws kind `failed` if it still is that node. */
async function removeOldNode(work: Work, node: string): Promise<void> {
  const { machine, signal } = work
  const { nodeId } = await readSwarmInfo(await engineOf(work), signal)
  const listed = await findNode(work, node)
  if (listed === undefined) return
  if (nodeId === node || listed.Spec.Labels[machineLabel] !== machine.name) {
    throw new UserError('failed', `node ${node} was not removed: it is still in use`, {
      machine: machine.name,
      hint: 'make a new plan: fleet plan',
    })
  }
  await removeGoneNode(work, node)
}

/** Sets whether managers need a key after a restart, as the inventory says. */
async function setAutolock(work: Work): Promise<void> {
  const { context, progress, signal } = work
  const { swarm } = await initializedSwarm(context, work.swarm)
  const autolock = swarm.autolock ?? false
  progress(autolock ? 'turn on autolock' : 'turn off autolock')
  await updateCluster((await managerOf(work)).engine, { autolock }, signal)
}

/** The node that a machine is. Throws kind `failed` if it is another one than planned. */
async function plannedNode(work: Work, planned: string | undefined): Promise<string> {
  const { nodeId } = await readSwarmInfo(await engineOf(work), work.signal)
  if (nodeId !== undefined && (planned === undefined || planned === nodeId)) return nodeId
  throw new UserError(
    'failed',
    `the machine is no longer ${planned === undefined ? 'a node' : `node ${planned}`} in the swarm`,
    {
      machine: work.machine.name,
      hint: 'make a new plan: fleet plan',
    },
  )
}

/**
 * Makes one planned change of a swarm. The engines are read again, so that a change that was made already is not repeated, and a
 * change that would lose the quorum is refused. It can be interrupted at any point: the next plan continues it.
 */
export async function applySwarmChange(
  context: Context,
  change: PlannedSwarmChange,
  calls: SwarmCalls,
): Promise<PlannedSwarmChange> {
  const inventory = await (await context.inventory()).read()
  const machine = findMachine(inventory, change.machine)
  const { swarm } = change
  const leaving = ['demote', 'leave', 'remove-node'].includes(change.action)
    ? new Set<string>([machine.name])
    : new Set<string>()
  const work: Work = { context, swarm, machine, leaving, ...calls }
  switch (change.action) {
    case 'init':
      await initialize(work)
      break
    case 'record':
      await record(work)
      break
    case 'join':
      await join(work, change.role ?? 'worker')
      break
    case 'promote':
      await promote(work, await plannedNode(work, change.node))
      break
    case 'label':
      await finishNode(work, change.node)
      break
    case 'demote':
      await demote(work, await plannedNode(work, change.node))
      break
    case 'leave':
      await leave(work, change.node ?? (await plannedNode(work, undefined)))
      break
    case 'autolock':
      await setAutolock(work)
      break
    case 'remove-node':
      if (change.node !== undefined) await removeOldNode(work, change.node)
      break
    case 'open-ports':
      await openPorts(work)
      break
    case 'close-ports':
      await closePorts(work)
      break
  }
  return change
}
