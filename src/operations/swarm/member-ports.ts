import type { PeerAccess, PeerGroup, PeerState } from '../../drivers/net/peer-access.ts'
import { nameOfRange, parsePorts } from '../../drivers/net/ports.ts'
import type { SwarmInfo } from '../../engine/swarm/info.ts'
import { UserError, messageWithHint } from '../../errors.ts'
import {
  type HostRecord,
  type Machine,
  mergeResources,
  requireHost,
} from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { type Swarm, rolesOf } from '../../machine/swarms.ts'
import type { Progress } from '../../os/progress.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Context } from '../context.ts'
import { currentOrigin, swarmTags } from '../create/host-tags.ts'
import { updateRecord } from '../inventory/update-record.ts'
import type { Change, Issue, PlannedSwarmChange } from '../plan/change-plan.ts'
import { isRemoved, newHostOf } from './plan-members.ts'

/**
 * The ports between nodes (docs.docker.com/engine/swarm/swarm-tutorial, "Open protocols and ports between the hosts").
 */
const nodePorts = parsePorts('2377/tcp,7946/tcp,7946/udp,4789/udp') ?? []

/** The ports between nodes, for messages. */
const portNames = nodePorts.map(nameOfRange).join(', ')

/** The state of a swarm's ports, as reported by the providers. */
export interface PortObservation {
  /** The drivers that open ports between hosts. */
  readonly drivers: ReadonlySet<string>
  /** The states of the hosts whose firewall fleet manages. */
  readonly states: ReadonlyMap<string, PeerState>
  readonly issues: readonly Issue[]
}

const groupOf = ({ id: fleet }: Pick<Inventory, 'id'>, name: string): PeerGroup => ({
  ...{ fleet, name, ports: nodePorts },
  tags: swarmTags(fleet, name, currentOrigin(false)),
})

/** Asks the providers of all machines whether the members of a swarm can reach each other. Changes nothing. */
export async function observePorts(
  context: Context,
  inventory: Pick<Inventory, 'id' | 'machines'>,
  { name }: Swarm,
): Promise<PortObservation> {
  const call = { signal: context.signal, progress: () => {} }
  const drivers = new Set<string>()
  const states = new Map<string, PeerState>()
  const issues: Issue[] = []
  const machines = [...inventory.machines.values()]
  for (const driver of new Set(machines.map((machine) => machine.driver))) {
    try {
      const { peerAccess } = await context.loadDriver(driver)
      if (peerAccess === undefined) continue
      drivers.add(driver)
      const hosts = new Map<MachineName, HostRecord>(
        machines.flatMap((machine) =>
          machine.driver === driver && machine.host?.phase === 'ready'
            ? [[machine.name, machine.host]]
            : [],
        ),
      )
      if (hosts.size === 0) continue
      const found = await peerAccess.observe(hosts, groupOf(inventory, name), call)
      for (const [machine, state] of found) states.set(machine, state)
    } catch (error) {
      context.signal.throwIfAborted()
      if (!(error instanceof UserError)) throw error
      const why = `could not check ports for swarm ${name} (driver ${driver}): ${messageWithHint(error)}`
      issues.push({ why })
    }
  }
  return { drivers, states, issues }
}

/** The state from which the changes to a swarm's ports are planned. */
interface PortSituation extends PortObservation {
  readonly machines: ReadonlyMap<MachineName, Machine>
  /** The changes to machines, which are made first. */
  readonly changes: readonly Change[]
  /** The changes to the swarm, which are made after ports are opened and before others are closed. */
  readonly planned: readonly PlannedSwarmChange[]
  /** Machines that several swarms select. Nothing changes for these machines. */
  readonly ambiguous: ReadonlySet<string>
  /** Returns the answer of a machine's engine; undefined if there is none. */
  readonly answerOf: (machine: string) => SwarmInfo | undefined
}

/** Plans which ports to open before machines join, and which to close after machines have left. Pure. */
export function planPorts(swarm: Swarm, at: PortSituation): readonly PlannedSwarmChange[] {
  const roles = rolesOf(swarm, at.machines.values())
  const isLeft = ({ name }: Machine) => at.ambiguous.has(name) || isRemoved(at.changes, name)
  return [...at.machines.values()].flatMap((machine): PlannedSwarmChange[] => {
    const { name, driver } = machine
    if (isLeft(machine)) return []
    const change = { swarm: swarm.name, machine: name }
    const state = at.states.get(name)
    if (!roles.has(name)) {
      if (state?.isMember !== true) return []
      const answer = at.answerOf(name)
      const leaves = at.planned.some((one) => one.machine === name && one.action === 'leave')
      // The ports stay open while the machine is, or may be, a node.
      if (answer === undefined || (answer.nodeId !== undefined && !leaves)) return []
      const why = `the machine is not a member of swarm ${swarm.name}, but its ports are open to members in ${state.network}`
      return [{ ...change, action: 'close-ports', why }]
    }
    const after = newHostOf(at.changes, name)
    const who = (where: string) =>
      `only the other members of swarm ${swarm.name}${where} can connect to ${portNames}`
    if (after === 'create' || after === 'replace') {
      if (!at.drivers.has(driver)) return []
      return [{ ...change, action: 'open-ports', why: who(''), after }]
    }
    if (state?.missing === undefined) return []
    const why = `${state.missing}; afterwards, ${who(` in ${state.network}`)}`
    return [{ ...change, action: 'open-ports', why }]
  })
}

/** The work on the ports of one machine. */
interface Work {
  readonly context: Context
  readonly swarm: string
  readonly machine: Machine
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** Calls the driver of a machine with the record of its host. Drivers that do not open ports are skipped. */
async function withAccess(
  { context, swarm, machine, progress, signal }: Work,
  work: (
    access: PeerAccess,
    host: HostRecord,
    group: PeerGroup,
    call: { readonly signal: AbortSignal; readonly progress: Progress },
  ) => Promise<void>,
): Promise<void> {
  const { peerAccess } = await context.loadDriver(machine.driver)
  const host = requireHost(machine)
  if (peerAccess === undefined || host.token === undefined) return
  const inventory = await (await context.inventory()).read()
  await work(peerAccess, host, groupOf(inventory, swarm), { signal, progress })
}

async function recordResources(
  { context, machine }: Work,
  resources: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const { token = '' } = requireHost(machine)
  await updateRecord(context, machine.name, token, (host) => ({
    ...host,
    resources: mergeResources(host.resources, resources),
  }))
}

/** Opens the node ports of a machine to the members of a swarm, if its driver supports that. */
export const openPorts = (work: Work): Promise<void> =>
  withAccess(work, (access, host, group, call) =>
    access.open(host, group, (resources) => recordResources(work, resources), call),
  )

/** Closes the node ports of a machine that is not a member. */
export const closePorts = (work: Work): Promise<void> =>
  withAccess(work, async (access, host, group, call) => {
    await recordResources(work, await access.close(host, group, call))
  })
