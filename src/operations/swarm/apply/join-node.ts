import { readSwarmInfo } from '../../../engine/swarm/info.ts'
import { joinSwarm, readJoinTokens } from '../../../engine/swarm/membership.ts'
import { type SwarmNode, updateNode } from '../../../engine/swarm/nodes.ts'
import { UserError } from '../../../errors.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { SwarmRole } from '../../../machine/swarms.ts'
import { addressOf, checkBeforeJoin } from '../check-ports.ts'
import { readNetworks } from '../host-networks.ts'
import { memberAddress } from '../member-address.ts'
import { canRejoin, machineLabel, nodesLabelled } from '../node-labels.ts'
import { leaveFailed, removeGoneNode } from './leave-node.ts'
import {
  type Work,
  engineOf,
  waitFor,
  finishNode,
  nodeMs,
  managerOf,
  findNode,
  engineError,
} from './node-work.ts'

/**
 * How long the other managers may take to reach a new manager, in milliseconds. If its engine fails, its node is
 * reported as down after 40 s.
 */
const promotionMs = 120_000

/**
 * Waits until the other managers reach a manager, because until then, one more failure could stop the swarm. Resolves
 * to `failed` if the machine's engine has failed and the swarm counts its node as down.
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

/** Joins a machine to the swarm as a drained node, sets its labels, and then activates it. */
export async function join(work: Work, role: SwarmRole): Promise<void> {
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
 * Makes a node a manager. If its engine cannot start a manager, the machine leaves and joins again as a manager,
 * because an engine that tries again contacts the manager through which it first joined, even if that manager no longer
 * exists.
 */
export async function promote(work: Work, node: string): Promise<void> {
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
