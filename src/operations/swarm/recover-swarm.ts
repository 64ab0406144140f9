import { forceNewCluster, leaveSwarm } from '../../engine/swarm/membership.ts'
import { readSwarmInfo } from '../../engine/swarm/info.ts'
import { type SwarmNode, listNodes, removeNode } from '../../engine/swarm/nodes.ts'
import { UserError } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { rolesOf } from '../../machine/swarms.ts'
import type { Context } from '../context.ts'
import { type SwarmCalls, type Work, waitFor } from './apply-swarm.ts'
import { initializedSwarm } from './find-manager.ts'
import { answerOf, observeSwarms } from './observe-swarms.ts'

/** How a swarm that has lost most of its managers is recovered. */
export interface Recovery {
  readonly swarm: string
  /** The ID of the cluster, which stays the same. */
  readonly id: string
  /** The manager that becomes the only one. */
  readonly survivor: Machine
  /** Whether an interrupted recovery has made it the only one already. */
  readonly isBegun: boolean
  /** Other managers that answer. They leave, and can join again. */
  readonly others: readonly Machine[]
  /** Managers of the inventory that do not answer. They must never run again with their old data. */
  readonly silent: readonly string[]
}

/** How long an engine may take to say which node it is, in milliseconds. */
const answerMs = 10_000

/** The result of a recovery. */
export interface Recovered {
  readonly swarm: string
  /** The only manager. */
  readonly manager: string
  /** The hosts whose nodes were removed. */
  readonly removed: readonly string[]
}

/** Managers that the others no longer count, because another manager has become the only one. */
const isLeftOver = ({ Spec, Status, ManagerStatus }: SwarmNode): boolean =>
  Spec.Role === 'manager' && ManagerStatus === undefined && Status.State !== 'ready'

/**
 * Finds a manager from which a swarm can be recovered; `from`: the machine to use. Throws kind `failed` if the swarm has a leader, or
 * no manager answers. Changes nothing.
 */
export async function planRecovery(
  context: Context,
  name: string,
  { from, timeoutMs }: { readonly from?: string | undefined; readonly timeoutMs: number },
): Promise<Recovery> {
  const { inventory, swarm } = await initializedSwarm(context, name)
  const machines = [...inventory.machines.values()]
  const roles = rolesOf(swarm, machines)
  const observed = await observeSwarms(context, machines, { timeoutMs })
  const managers = machines.filter((machine) => roles.get(machine.name) === 'manager')
  const answering = machines.filter((machine) => answerOf(observed, machine.name)?.isManager)
  const silent = managers
    .filter((machine) => hasHost(machine) && answerOf(observed, machine.name) === undefined)
    .map((machine) => machine.name as string)
  const cluster = observed.clusters.get(swarm.id)
  if (cluster !== undefined) {
    const survivor = machines.find((machine) => machine.name === cluster.manager)
    if (survivor !== undefined && cluster.nodes.some(isLeftOver)) {
      return { swarm: name, id: swarm.id, survivor, isBegun: true, others: [], silent }
    }
    throw new UserError('failed', `swarm ${name} needs no recovery: it has a leader`, {
      hint: `fleet swarm status ${name}`,
    })
  }
  // Without a leader, an engine does not know the ID of its cluster.
  const leaderless = answering.filter(
    (machine) => answerOf(observed, machine.name)?.cluster === undefined && roles.has(machine.name),
  )
  const survivor = leaderless.find((machine) => from === undefined || machine.name === from)
  if (survivor === undefined) {
    const why = `no manager of swarm ${name} answers, so there is nothing to recover it from`
    const isLocked = managers.some(({ name: one }) => answerOf(observed, one)?.state === 'locked')
    throw new UserError(
      'failed',
      from === undefined ? why : `${from} is no manager of swarm ${name} that answers`,
      {
        hint: isLocked
          ? `unlock the managers that are left first: fleet swarm unlock ${name}`
          : leaderless.length === 0
            ? 'fleet status --all'
            : `managers that answer: ${leaderless.map((one) => one.name).join(', ')}`,
      },
    )
  }
  return {
    ...{ swarm: name, id: swarm.id, survivor, isBegun: false, silent },
    others: leaderless.filter((machine) => machine !== survivor),
  }
}

/** Lets a manager of the old cluster leave it by force. */
async function abandon(context: Context, machine: Machine, { signal }: SwarmCalls): Promise<void> {
  const engine = await context.with({ signal }).engine(machine)
  const { nodeId } = await readSwarmInfo(engine, signal)
  if (nodeId !== undefined) await leaveSwarm(engine, signal, { force: true })
}

/** Removes nodes of managers that are gone. The names of their hosts. */
async function removeLeftOver(work: Work): Promise<readonly string[]> {
  const { context, machine, signal } = work
  const engine = await context.with({ signal }).engine(machine)
  const { nodeId } = await readSwarmInfo(engine, signal)
  const nodes = await listNodes(engine, signal)
  const gone = nodes.filter(
    ({ ID, Spec, ManagerStatus }) =>
      ID !== nodeId && Spec.Role === 'manager' && ManagerStatus === undefined,
  )
  for (const { ID } of gone) {
    await waitFor(
      work,
      async () => {
        const found = (await listNodes(engine, signal)).find((node) => node.ID === ID)
        if (found === undefined) return true
        await removeNode(engine, ID, signal)
        return undefined
      },
      () => `the node ${ID} was not removed from swarm ${work.swarm}`,
      { hint: `run it again: fleet swarm recover ${work.swarm}` },
    )
  }
  return gone.map(({ ID, Description }) => Description.Hostname || ID)
}

/** Waits until the workers that answer are ready. Others may be off. */
async function waitForWorkers(work: Work): Promise<void> {
  const { context, swarm: name, signal } = work
  const { inventory, swarm } = await initializedSwarm(context, name)
  const roles = rolesOf(swarm, inventory.machines.values())
  const machines = [...inventory.machines.values()].filter((machine) => roles.has(machine.name))
  const observed = await observeSwarms(context, machines, { timeoutMs: answerMs })
  const running = new Set(
    machines.flatMap((machine) => answerOf(observed, machine.name)?.nodeId ?? []),
  )
  const engine = await context.engine(work.machine)
  await waitFor(
    work,
    async () => {
      const nodes = await listNodes(engine, signal)
      const all = nodes.filter(({ ID }) => running.has(ID))
      return all.every(({ Status }) => Status.State === 'ready') ? true : undefined
    },
    () => `it is the only manager of swarm ${name}, but some nodes are not ready`,
    { hint: `fleet swarm status ${name}` },
  )
}

/**
 * Makes the surviving manager the only one of its swarm, with all services, secrets, configs and nodes, and removes the nodes of the
 * other managers. It can be interrupted at any point, and is then run again.
 */
export async function recoverSwarm(
  context: Context,
  { swarm, id, survivor, isBegun, others }: Recovery,
  calls: SwarmCalls,
): Promise<Recovered> {
  const { progress, signal } = calls
  const own = context.with({ signal })
  const work: Work = { ...calls, context: own, swarm, machine: survivor }
  const engine = await own.engine(survivor)
  if (!isBegun) {
    for (const other of others) {
      progress('let another manager leave', other.name)
      await abandon(context, other, calls)
    }
    const { address } = await readSwarmInfo(engine, signal)
    if (address === undefined) {
      throw new UserError('failed', `it is no longer a manager of swarm ${swarm}`, {
        machine: survivor.name,
      })
    }
    progress('make it the only manager')
    await forceNewCluster(engine, address, signal)
  }
  progress('wait until it is the leader')
  const cluster = await waitFor(
    work,
    async () => (await readSwarmInfo(engine, signal)).cluster,
    () => `it has not become the leader of swarm ${swarm}`,
    { hint: `run it again: fleet swarm recover ${swarm}` },
  )
  if (cluster.id !== id) {
    throw new UserError(
      'failed',
      `it manages the cluster ${cluster.id}, not ${id} of swarm ${swarm}`,
      {
        machine: survivor.name,
        hint: `fleet swarm status ${swarm}`,
      },
    )
  }
  progress('remove the nodes of the other managers')
  const removed = await removeLeftOver(work)
  progress('wait until the workers are connected')
  await waitForWorkers(work)
  return { swarm, manager: survivor.name, removed }
}
