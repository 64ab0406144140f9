import { forceNewCluster, leaveSwarm } from '../../engine/swarm/membership.ts'
import { readSwarmInfo } from '../../engine/swarm/info.ts'
import { type SwarmNode, listNodes, removeNode } from '../../engine/swarm/nodes.ts'
import { UserError, messageOf } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { rolesOf } from '../../machine/swarms.ts'
import type { Context } from '../context.ts'
import { type SwarmCalls, type Work, waitFor } from './apply/node-work.ts'
import { initializedSwarm } from './find-manager.ts'
import { answerOf, observeSwarms } from './observe-swarms.ts'

/** The plan to recover a swarm that has lost the majority of its managers. */
export interface Recovery {
  readonly swarm: string
  /** The ID of the cluster, which stays the same. */
  readonly id: string
  /** The manager that will be the only manager. */
  readonly survivor: Machine
  /** Whether an interrupted recovery has already made `survivor` the only manager. */
  readonly isBegun: boolean
  /** Other managers that respond. Those that belong to the cluster leave, and can join again. */
  readonly others: readonly Machine[]
  /** Managers in the inventory that do not respond. They must never run again with their old data. */
  readonly silent: readonly string[]
}

/** How long an engine may take to report its node ID, in milliseconds. */
const answerMs = 10_000

/** The result of a recovery. */
export interface Recovered {
  readonly swarm: string
  /** The only manager. */
  readonly manager: string
  /** The hosts whose nodes were removed. */
  readonly removed: readonly string[]
}

/** Whether a node has the role of a manager, but is no longer counted as one by the managers. */
const isLeftOver = ({ Spec, ManagerStatus }: SwarmNode): boolean =>
  Spec.Role === 'manager' && ManagerStatus === undefined

/** Whether a manager has become the only one, but the nodes of the other managers have not been removed yet. */
const isHalfRecovered = (nodes: readonly SwarmNode[]): boolean =>
  nodes.filter(({ ManagerStatus }) => ManagerStatus !== undefined).length === 1 &&
  nodes.some((node) => isLeftOver(node) && node.Status.State !== 'ready')

/**
 * The error for a swarm that uses autolock. Docker cannot recover it, because it cannot unlock the data when it reads
 * it again (moby issue 36852).
 */
const autolocked = (swarm: string): UserError =>
  new UserError(
    'unsupported',
    `swarm ${swarm} uses autolock, and Docker cannot make a locked manager the only manager`,
    { hint: 'start one of the other managers again' },
  )

const hasLeader = (swarm: string): UserError =>
  new UserError('failed', `swarm ${swarm} does not need recovery: it has a leader`, {
    hint: `to see the swarm's state: fleet swarm status ${swarm}`,
  })

const failed = (why: string, hint: string): UserError => new UserError('failed', why, { hint })

const namesOf = (machines: readonly Machine[]): readonly string[] =>
  machines.map(({ name }) => name)

/**
 * The error for a swarm that cannot be recovered from the manager `from` or, without `from`, from any manager that
 * responded.
 */
function noSurvivor(
  swarm: string,
  from: string | undefined,
  { locked, leaderless }: Readonly<Record<'locked' | 'leaderless', readonly string[]>>,
): UserError {
  const all = 'to see all machines: fleet status --all'
  const [first] = leaderless
  const responded = first === undefined ? all : `managers that responded: ${leaderless.join(', ')}`
  if (from === undefined ? locked.length > 0 : locked.includes(from)) {
    return failed(
      `these managers of swarm ${swarm} are locked: ${from ?? locked.join(', ')}`,
      `to unlock the remaining managers first: fleet swarm unlock ${swarm}`,
    )
  }
  if (from !== undefined)
    return failed(`${from} is not a manager of swarm ${swarm}, or did not respond`, responded)
  if (first === undefined)
    return failed(`no manager of swarm ${swarm} responded, so the swarm cannot be recovered`, all)
  return failed(
    `the workers of swarm ${swarm} belong to none of the managers that responded: ${leaderless.join(', ')}`,
    `to recover the swarm from one of them anyway: fleet swarm recover ${swarm} --from ${first}`,
  )
}

/**
 * Finds a manager from which a swarm can be recovered, or checks the manager `from` if it is given. Throws kind
 * `failed` if the swarm has a leader or no suitable manager responds, and kind `unsupported` if the swarm uses
 * autolock. Changes nothing.
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
  const infoOf = (machine: Machine) => answerOf(observed, machine.name)
  const managers = machines.filter((machine) => roles.get(machine.name) === 'manager')
  const silent = managers
    .filter((machine) => hasHost(machine) && infoOf(machine) === undefined)
    .map((machine) => machine.name as string)
  const members = machines.filter((machine) => roles.has(machine.name))
  // An engine without a leader does not know the ID of its cluster.
  const leaderless = members.filter((machine) => {
    const info = infoOf(machine)
    return info?.isManager === true && info.cluster === undefined
  })
  const cluster = observed.clusters.get(swarm.id)
  if (cluster !== undefined) {
    const survivor = machines.find((machine) => machine.name === cluster.manager)
    if (survivor === undefined || !isHalfRecovered(cluster.nodes)) throw hasLeader(name)
    const others = leaderless.filter((machine) => machine !== survivor)
    return { swarm: name, id: swarm.id, survivor, isBegun: true, others, silent }
  }
  if (machines.some((machine) => infoOf(machine)?.cluster?.id === swarm.id)) throw hasLeader(name)
  // The workers know the managers of their swarm.
  const known = new Set(
    members.flatMap((machine) => {
      const info = infoOf(machine)
      return info === undefined || info.isManager ? [] : info.managers
    }),
  )
  const isKnown = (machine: Machine) => known.size === 0 || known.has(infoOf(machine)?.nodeId ?? '')
  const survivor = leaderless.find((machine) =>
    from === undefined ? isKnown(machine) : machine.name === from,
  )
  if (survivor === undefined) {
    const locked = managers.filter((machine) => infoOf(machine)?.state === 'locked')
    throw noSurvivor(name, from, { locked: namesOf(locked), leaderless: namesOf(leaderless) })
  }
  if (swarm.autolock === true) throw autolocked(name)
  return {
    ...{ swarm: name, id: swarm.id, survivor, isBegun: false, silent },
    others: leaderless.filter((machine) => machine !== survivor),
  }
}

/** Lists the nodes of former managers, which the only manager no longer counts. */
async function listLeftOver({ context, machine, signal }: Work): Promise<readonly SwarmNode[]> {
  const nodes = await listNodes(await context.engine(machine), signal)
  return nodes.filter(isLeftOver)
}

/** Forces the former managers to leave, which the only manager no longer counts. Managers of other clusters stay. */
async function abandon(work: Work, others: readonly Machine[]): Promise<void> {
  const { context, progress, signal } = work
  const leftOver = new Set((await listLeftOver(work)).map(({ ID }) => ID))
  for (const other of others) {
    const engine = await context.engine(other)
    const { nodeId, cluster } = await readSwarmInfo(engine, signal)
    if (nodeId === undefined || cluster !== undefined || !leftOver.has(nodeId)) continue
    progress('force the other managers to leave the swarm', other.name)
    await leaveSwarm(engine, signal, { force: true })
  }
}

/** Removes the nodes of former managers. Returns the names of their hosts. */
async function removeLeftOver(work: Work): Promise<readonly string[]> {
  const { context, machine, signal } = work
  const engine = await context.engine(machine)
  const gone = await listLeftOver(work)
  for (const { ID } of gone) {
    await waitFor(
      work,
      async () => {
        const found = (await listNodes(engine, signal)).find((node) => node.ID === ID)
        if (found === undefined || found.ManagerStatus !== undefined) return true
        if (found.Status.State === 'ready') return undefined // the machine has left, but its node is not down yet
        await removeNode(engine, ID, signal)
        return undefined
      },
      () => `node ${ID} was not removed from swarm ${work.swarm}`,
      { hint: `run the command again: fleet swarm recover ${work.swarm}` },
    )
  }
  return gone.map(({ ID, Description }) => Description.Hostname || ID)
}

/** Waits until the workers that respond are ready. Other workers may be off. */
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
    () => `the machine is now the only manager of swarm ${name}, but some nodes are not ready`,
    { hint: `to see the swarm's nodes: fleet swarm status ${name}` },
  )
}

/**
 * Makes a manager the only one. Throws kind `failed` if the swarm has a leader again, which is possible because the
 * user may have taken a long time to confirm.
 */
async function becomeOnlyManager(work: Work): Promise<void> {
  const { context, machine, progress, signal, swarm } = work
  progress('check the managers again')
  const { isBegun } = await planRecovery(context, swarm, {
    ...{ from: machine.name, timeoutMs: answerMs },
  })
  if (isBegun) return
  const engine = await context.engine(machine)
  const { address } = await readSwarmInfo(engine, signal)
  if (address === undefined) {
    throw new UserError('failed', `the machine is no longer a manager of swarm ${swarm}`, {
      machine: machine.name,
    })
  }
  progress('make the machine the only manager')
  await forceNewCluster(engine, address, signal).catch((error: unknown) => {
    throw new UserError(
      'failed',
      `the machine did not become the only manager: ${messageOf(error)}`,
      {
        machine: machine.name,
        hint: `restart Docker on ${machine.name} and run the command again; do not remove the swarm ID from machines.yaml, because fleet apply would then create a new swarm`,
        cause: error,
      },
    )
  })
}

/**
 * Makes the surviving manager the only manager of its swarm, with all services, secrets, configs and nodes. Then the
 * other managers that respond leave, and the nodes of all other managers are removed. The recovery can be interrupted
 * at any point and then repeated.
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
  if (!isBegun) await becomeOnlyManager(work)
  progress('wait until the machine is the leader')
  const cluster = await waitFor(
    work,
    async () => (await readSwarmInfo(engine, signal)).cluster,
    () => `the machine did not become the leader of swarm ${swarm}`,
    { hint: `run the command again: fleet swarm recover ${swarm}` },
  )
  if (cluster.id !== id) {
    throw new UserError(
      'failed',
      `the machine manages cluster ${cluster.id}, but swarm ${swarm} has the ID ${id}`,
      {
        machine: survivor.name,
        hint: `to see the swarm's nodes: fleet swarm status ${swarm}`,
      },
    )
  }
  await abandon(work, others)
  progress("remove the other managers' nodes")
  const removed = await removeLeftOver(work)
  progress('wait until the workers are connected')
  await waitForWorkers(work)
  return { swarm, manager: survivor.name, removed }
}
