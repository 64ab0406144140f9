import { UserError, messageOf } from '../../errors.ts'
import type { SwarmNode } from '../../engine/swarm/nodes.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { rolesOf } from '../../machine/swarms.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { fanOutInOrder } from '../fan-out/fan-out.ts'
import { initializedSwarm } from './find-manager.ts'
import { type SwarmModule, findMissingModules } from './kernel-modules.ts'
import { type Cluster, answerOf, observeSwarms } from './observe-swarms.ts'

/** The TCP ports of swarms: managers listen on `management`, all nodes on `gossip`. */
const swarmPorts = { management: 2377, gossip: 7946 } as const

/** How long a connection attempt may take, in milliseconds. */
const connectMs = 5000

/**
 * The result of a connection attempt. `closed`: the host responds, but nothing is listening on the port. `blocked`:
 * there is no response. `unknown`: the SSH server of the connecting host does not allow forwarding.
 */
type PortState = 'open' | 'closed' | 'blocked' | 'unknown'

/** Connects to a TCP port from a host, through its SSH server. */
async function probePort(
  context: Context,
  from: Machine,
  address: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<PortState> {
  const transport = await context.connect(from)
  const dialing = transport.dial(address).then(
    (socket): PortState => {
      socket.destroy()
      return 'open'
    },
    (error: unknown): PortState => {
      const why = messageOf(error)
      if (/prohibited/i.test(why)) return 'unknown'
      return /connection refused/i.test(why) ? 'closed' : 'blocked'
    },
  )
  const stop = new AbortController()
  const late = new Promise<PortState>((resolve) => {
    const timer = setTimeout(() => resolve('blocked'), connectMs)
    stop.signal.addEventListener('abort', () => clearTimeout(timer))
  })
  try {
    const state = await Promise.race([dialing, late])
    signal.throwIfAborted()
    return state
  } finally {
    stop.abort()
  }
}

/** A failed connection between two members. */
export interface PortProblem {
  readonly swarm: string
  /** The machine that cannot connect. */
  readonly from: string
  /** The machine on which the port must be open. */
  readonly to: string
  /** The IP address of that machine. */
  readonly address: string
  readonly port: number
  readonly state: Exclude<PortState, 'open'>
}

/** A kernel module that a member needs, but does not have. */
interface MissingModule {
  readonly machine: string
  readonly module: SwarmModule
}

/** The result of {@link checkMembers}. */
interface MemberCheck {
  readonly swarm: string
  /** The number of connections that were checked. */
  readonly connections: number
  readonly members: number
  readonly problems: readonly PortProblem[]
  readonly missingModules: readonly MissingModule[]
  /** Members that did not respond. Their connections and modules were therefore not checked. */
  readonly silent: readonly string[]
}

/** Returns the IP address at which other nodes reach a node. The status of a manager may contain 0.0.0.0. */
export const addressOf = ({ Status, ManagerStatus }: SwarmNode): string =>
  ManagerStatus === undefined ? Status.Addr : ManagerStatus.Addr.replace(/:\d+$/, '')

/** Returns the connections that a member must be able to make. */
function connectionsOf(
  own: string,
  nodes: ReadonlyMap<string, SwarmNode>,
): readonly { readonly to: string; readonly address: string; readonly port: number }[] {
  return [...nodes].flatMap(([to, node]) => {
    if (to === own) return []
    const address = addressOf(node)
    const ports = node.ManagerStatus === undefined ? [] : [swarmPorts.management]
    return [...ports, swarmPorts.gossip].map((port) => ({ to, address, port }))
  })
}

/** The maximum number of simultaneous connections from one host. sshd limits sessions, not forwarded connections. */
const perHost = 16

/** Processes a list in batches, so that a host does not make all connections at the same time. */
async function inBatches<Item, Value>(
  items: readonly Item[],
  work: (item: Item) => Promise<Value>,
): Promise<readonly Value[]> {
  const values: Value[] = []
  for (let index = 0; index < items.length; index += perHost) {
    values.push(...(await Promise.all(items.slice(index, index + perHost).map(work))))
  }
  return values
}

/**
 * Checks that each member of a swarm reaches each manager on 2377/tcp, and each other member on 7946/tcp, and that its
 * kernel has the modules that nodes need. UDP cannot be checked this way. Throws kind `failed` if no manager responds.
 */
export async function checkMembers(
  context: Context,
  name: string,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<MemberCheck> {
  const { inventory, swarm } = await initializedSwarm(context, name)
  const machines = [...inventory.machines.values()].filter(hasHost)
  const observed = await observeSwarms(context, machines, { timeoutMs })
  const cluster: Cluster | undefined = observed.clusters.get(swarm.id)
  if (cluster === undefined) {
    throw new UserError('failed', `no manager of swarm ${name} responded`, {
      hint: `to see the swarm's nodes: fleet swarm status ${name}`,
    })
  }
  const nodes = new Map<string, SwarmNode>()
  for (const machine of machines) {
    const id = answerOf(observed, machine.name)?.nodeId
    const node = cluster.nodes.find(({ ID }) => ID === id)
    if (node !== undefined) nodes.set(machine.name, node)
  }
  const members = machines.filter((machine) => nodes.has(machine.name))
  const outcomes = await fanOutInOrder(
    members,
    async (machine, signal) => {
      const [modules, connections] = await Promise.all([
        findMissingModules(context, machine, signal),
        inBatches(connectionsOf(machine.name, nodes), async ({ to, address, port }) => ({
          ...{ swarm: name, from: machine.name, to, address, port },
          state: await probePort(context, machine, { host: address, port }, signal),
        })),
      ])
      return { modules, connections }
    },
    { signal: context.signal },
  )
  const checks = outcomes.flatMap((outcome) => ('value' in outcome ? outcome : []))
  const checked = checks.flatMap(({ value }) => value.connections)
  const silent = [...rolesOf(swarm, machines).keys()].filter((one) => !nodes.has(one))
  return {
    ...{ swarm: name, connections: checked.length, members: members.length },
    problems: checked.flatMap(({ state, ...one }) => (state === 'open' ? [] : [{ ...one, state }])),
    missingModules: checks.flatMap(({ machine, value }) =>
      value.modules.map((module) => ({ machine: machine.name, module })),
    ),
    silent: [
      ...silent,
      ...outcomes.flatMap(({ machine, ...outcome }) => ('error' in outcome ? machine.name : [])),
    ],
  }
}

/** A member that a joining machine must reach. */
export interface Peer {
  /** Absent if the member is not a machine in the inventory. */
  readonly machine?: Machine | undefined
  readonly address: string
}

/**
 * Checks the ports before a machine joins. It must reach all managers, and they must reach its address, where nothing
 * is listening yet. Throws kind `failed`, with the port to open. Hosts whose SSH servers do not allow forwarding are
 * not checked.
 */
export async function checkBeforeJoin(
  context: Context,
  { machine: joiner, advertise }: { readonly machine: Machine; readonly advertise: string },
  managers: readonly Peer[],
  signal: AbortSignal,
): Promise<void> {
  const problem = (from: string, to: string, address: string, port: number): UserError =>
    new UserError('failed', `${from} cannot reach ${to} at ${address} on port ${port}/tcp`, {
      machine: joiner.name,
      hint: `allow ${port}/tcp from ${from} to ${to}; 2377/tcp, 7946/tcp, 7946/udp and 4789/udp must be open between all members`,
    })
  const to = managers.flatMap(({ machine, address }) =>
    Object.values(swarmPorts).map((port) => ({ name: machine?.name ?? address, address, port })),
  )
  const out = await inBatches(to, async (one) => ({
    ...one,
    state: await probePort(context, joiner, { host: one.address, port: one.port }, signal),
  }))
  const blocked = out.find(({ state }) => state === 'blocked' || state === 'closed')
  if (blocked !== undefined) {
    throw problem(joiner.name, blocked.name, blocked.address, blocked.port)
  }
  const back = await inBatches(managers, async ({ machine }) => {
    if (machine === undefined) return undefined
    const address = { host: advertise, port: swarmPorts.gossip }
    const state = await probePort(context, machine, address, signal).catch(
      ignored('ssh', `connect from ${machine.name} to ${joiner.name}`),
    )
    return state === 'blocked' ? machine.name : undefined
  })
  const manager = back.find((name) => name !== undefined)
  if (manager !== undefined) throw problem(manager, joiner.name, advertise, swarmPorts.gossip)
}
