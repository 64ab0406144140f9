import type { Engine } from '../../../engine/engine.ts'
import { readSwarmInfo } from '../../../engine/swarm/info.ts'
import { leaveSwarm } from '../../../engine/swarm/membership.ts'
import { type SwarmNode, countTasks, removeNode, updateNode } from '../../../engine/swarm/nodes.ts'
import { UserError } from '../../../errors.ts'
import { canRejoin, drained, machineLabel, nodesLabelled } from '../node-labels.ts'
import { managersAmong, quorumLoss } from '../quorum.ts'
import { type Work, engineOf, waitFor, nodeMs, managerOf, findNode } from './node-work.ts'

/** The default time limit for the tasks of a node to stop, in milliseconds. */
const defaultDrainMs = 5 * 60_000

/**
 * Forces a machine whose engine has failed to leave its swarm. Throws kind `failed` if the engine has since started the
 * node, or if the node cannot rejoin (see {@link canRejoin}).
 */
export async function leaveFailed(work: Work, engine: Engine): Promise<void> {
  const { machine, progress, signal } = work
  const { nodes } = await managerOf(work)
  // Docker keeps trying to start the node. A machine whose node has started in the meantime must not leave.
  const { state, error } = await readSwarmInfo(engine, signal)
  if (state !== 'error') {
    throw new UserError('failed', 'the engine has since started the node', {
      ...{ machine: machine.name, hint: 'run fleet apply again' },
    })
  }
  if (!canRejoin(nodesLabelled(machine.name, nodes))) {
    throw new UserError('failed', `the node cannot take part in swarm ${work.swarm}: ${error}`, {
      machine: machine.name,
      hint: `to make the machine leave the swarm: fleet -m ${machine.name} docker swarm leave --force; then run fleet apply`,
    })
  }
  progress('force the machine to leave the swarm')
  await leaveSwarm(engine, signal, { force: true })
}

/** Throws kind `failed` if no majority of the managers would be reachable without a node. */
function checkQuorum({ swarm, machine }: Work, nodes: readonly SwarmNode[], node: string): void {
  const managers = managersAmong(nodes)
  const loss = managers.has(node) ? quorumLoss(managers, new Set([node])) : undefined
  if (loss === undefined) return
  throw new UserError('failed', `swarm ${swarm} needs this machine as a manager: ${loss}`, {
    machine: machine.name,
    hint: 'bring the other managers back online first, or select more machines as managers',
  })
}

/** Makes a manager a worker, if the other managers have a majority without it, and waits until they have removed it. */
export async function demote(work: Work, node: string): Promise<void> {
  const { progress, signal } = work
  const { engine, nodes } = await managerOf(work)
  checkQuorum(work, nodes, node)
  progress('demote the node to worker')
  if (nodes.some(({ ID, Spec }) => ID === node && Spec.Role === 'manager')) {
    // After an interrupted promotion, the managers refuse to demote the node until it has joined them.
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

/**
 * Waits until the engine of a demoted node is no longer a manager, because until then, it only leaves when forced to.
 */
async function waitUntilWorker(work: Work, engine: Engine): Promise<void> {
  await waitFor(
    work,
    async () => ((await readSwarmInfo(engine, work.signal)).isManager ? undefined : true),
    () => `the engine was still a manager after ${nodeMs / 1000} s`,
  )
}

/** Waits until a node is down, and removes it from the list of nodes. A manager is demoted first. */
export async function removeGoneNode(work: Work, node: string): Promise<void> {
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
  // The managers refuse to demote a node that was promoted but has not joined them. They remove such a node without a
  // demotion.
  if (found.listed.ManagerStatus !== undefined) await demote(work, node)
  progress('remove the node')
  const { engine, nodes } = await managerOf(work)
  if (nodes.some(({ ID }) => ID === node)) await removeNode(engine, node, signal)
}

/** Waits until no tasks run on a drained node. */
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

/** Makes a machine leave its swarm: demotes its node, drains it, and removes it from the list of nodes. */
export async function leave(work: Work, node: string): Promise<void> {
  const { progress, signal } = work
  const leavingEngine = await engineOf(work)
  const info = await readSwarmInfo(leavingEngine, signal)
  const { nodeId } = info
  if (nodeId === node) {
    const listed = await findNode(work, node)
    if (listed?.Spec.Role === 'manager' || listed?.ManagerStatus !== undefined) {
      await demote(work, node)
    }
    await waitUntilWorker(work, leavingEngine)
    progress('drain the node')
    await updateNode((await managerOf(work)).engine, node, drained, signal)
    await waitForTasks(work, node)
    progress('leave the swarm')
    await leaveSwarm(leavingEngine, signal)
  } else if (info.state === 'error') await leaveFailed(work, leavingEngine)
  await removeGoneNode(work, node)
}

/** Removes the earlier node of a machine. Throws kind `failed` if the machine is still that node. */
export async function removeOldNode(work: Work, node: string): Promise<void> {
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
