import { updateCluster } from '../../../engine/swarm/cluster.ts'
import { readSwarmInfo } from '../../../engine/swarm/info.ts'
import { UserError } from '../../../errors.ts'
import type { Context } from '../../context.ts'
import { findMachine } from '../../inventory/choose-machines.ts'
import type { PlannedSwarmChange } from '../../plan/change-plan.ts'
import { initializedSwarm } from '../find-manager.ts'
import { closePorts, openPorts } from '../member-ports.ts'
import { initialize, record } from './initialize-swarm.ts'
import { join, promote } from './join-node.ts'
import { leave, demote, removeOldNode } from './leave-node.ts'
import { type Work, engineOf, finishNode, managerOf, type SwarmCalls } from './node-work.ts'

/** Turns autolock on or off, as the inventory specifies. */
async function setAutolock(work: Work): Promise<void> {
  const { context, progress, signal } = work
  const { swarm } = await initializedSwarm(context, work.swarm)
  const autolock = swarm.autolock ?? false
  progress(autolock ? 'turn on autolock' : 'turn off autolock')
  await updateCluster((await managerOf(work)).engine, { autolock }, signal)
}

/** Returns the node ID of the machine. Throws kind `failed` if the machine is not the planned node. */
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
 * Applies one planned change to a swarm. The state of the engines is read again, so that a change that has already been
 * made is not repeated, and a change that would lose the quorum is refused. The work can be interrupted at any point;
 * the next plan continues it.
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
