import { type SwarmInfo, readSwarmInfo } from '../../../engine/swarm/info.ts'
import { initSwarm } from '../../../engine/swarm/membership.ts'
import { UserError } from '../../../errors.ts'
import { type Machine, hasHost } from '../../../machine/machine.ts'
import { type Swarm, rolesOf } from '../../../machine/swarms.ts'
import { freePool, poolOverlaps, readNetworks } from '../host-networks.ts'
import { memberAddress } from '../member-address.ts'
import { clusterLabels } from '../node-labels.ts'
import { type Work, engineOf, waitFor, finishNode } from './node-work.ts'

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

/** Chooses the address that the first manager advertises, and the address pool of the swarm's overlay networks. */
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
      hint: "set a different addressPool in the swarm's entry",
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
export async function initialize(work: Work): Promise<void> {
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

/** Records the ID of the cluster that a machine initialized earlier. */
export async function record(work: Work): Promise<void> {
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
