import { describe, expect, it } from 'vitest'
import type { PeerAccess, PeerGroup, PeerState } from '../../../../src/drivers/net/peer-access.ts'
import type { SwarmInfo } from '../../../../src/engine/swarm/info.ts'
import { UserError } from '../../../../src/errors.ts'
import type { Machine } from '../../../../src/machine/machine.ts'
import type { MachineName } from '../../../../src/machine/name.ts'
import type { Change, PlannedSwarmChange } from '../../../../src/operations/plan/change-plan.ts'
import type { Context } from '../../../../src/operations/context.ts'
import {
  closePorts,
  observePorts,
  openPorts,
  planPorts,
} from '../../../../src/operations/swarm/member-ports.ts'
import { inPhases } from '../../../../src/operations/swarm/plan-members.ts'
import { openMemoryInventory } from '../../../support/inventory/memory-inventory.ts'

const prod = { name: 'prod', managers: 'role=manager', workers: 'role=web' }

const machine = (name: string, role: string, driver = 'aws'): Machine => ({
  ...{ name: name as MachineName, driver, labels: { role } },
  host: { phase: 'ready', address: '192.0.2.1', token: name },
})

const machines = [
  machine('m1', 'manager'),
  machine('w1', 'web'),
  machine('own', 'web', 'ssh'),
  machine('other', 'db'),
]

const open: PeerState = { network: 'vpc-1', isMember: true }
const outside: PeerState = {
  ...{ network: 'vpc-1', isMember: false },
  missing: 'vpc-1 has no security group for the swarm',
}

const infoOf = (nodeId?: string): SwarmInfo => ({
  ...{ nodeId, state: nodeId === undefined ? 'inactive' : 'active', isManager: false },
  ...{ error: '', managers: [] },
})

const planned = ({
  states = {},
  changes = [],
  swarm = [],
  nodes = {},
  ambiguous = [],
}: {
  states?: Record<string, PeerState>
  changes?: readonly Change[]
  swarm?: readonly PlannedSwarmChange[]
  /** Swarm information, keyed by machine. Engines of machines without an entry have not responded. */
  nodes?: Record<string, SwarmInfo>
  ambiguous?: readonly string[]
}) =>
  planPorts(prod, {
    machines: new Map(machines.map((one) => [one.name, one])),
    ...{ changes, planned: swarm, ambiguous: new Set(ambiguous), issues: [] },
    ...{ drivers: new Set(['aws']), states: new Map(Object.entries(states)) },
    answerOf: (name) => nodes[name],
  })

const texts = (changes: readonly PlannedSwarmChange[]) =>
  changes.map(({ machine: name, action, after = '' }) => `${name} ${action} ${after}`.trim())

const change = (name: string, action: Change['action']): Change => ({
  ...{ machine: name, action, why: 'it is in the inventory' },
})

describe('planning the ports of a swarm', () => {
  it('plans nothing if members can connect to each other, and other hosts cannot', () => {
    expect(planned({ states: { m1: open, w1: open, other: outside } })).toEqual([])
  })

  it('states which hosts can connect, to which ports, and in which network', () => {
    expect(planned({ states: { m1: outside, w1: open } })).toEqual([
      {
        ...{ swarm: 'prod', machine: 'm1', action: 'open-ports' },
        why: 'vpc-1 has no security group for the swarm; afterwards, only the other members of swarm prod in vpc-1 can connect to 2377/tcp, 7946/tcp, 7946/udp, 4789/udp',
      },
    ])
  })

  it('adds a missing rule', () => {
    const missing = 'the security group sg-1 does not open 2377/tcp'
    const changes = planned({ states: { m1: { ...open, missing }, w1: open } })
    expect(texts(changes)).toEqual(['m1 open-ports'])
    expect(changes[0]?.why).toContain(missing)
  })

  it('opens ports for new hosts of supported drivers, and skips hosts that will be removed', () => {
    const changes = [change('m1', 'create'), change('own', 'create'), change('w1', 'remove')]
    expect(texts(planned({ states: { w1: outside }, changes }))).toEqual(['m1 open-ports create'])
    const replaced = planned({ states: { m1: open }, changes: [change('m1', 'replace')] })
    expect(texts(replaced)).toEqual(['m1 open-ports replace'])
  })

  it('closes ports after a machine has left the swarm, and not before', () => {
    const states = { m1: open, other: open }
    const leave: PlannedSwarmChange = {
      ...{ swarm: 'prod', machine: 'other', action: 'leave', node: 'n4', why: 'not selected' },
    }
    const nodes = { other: infoOf('n4') }
    const changes = planned({ states, nodes, swarm: [leave] })
    expect(texts(changes)).toEqual(['other close-ports'])
    expect(inPhases([...changes, leave]).flat()).toEqual([leave, ...changes])
    // The host is still a node, because the quorum needs it.
    expect(planned({ states, nodes })).toEqual([])
    // The engine has not responded.
    expect(planned({ states })).toEqual([])
    expect(texts(planned({ states, nodes: { other: infoOf() } }))).toEqual(['other close-ports'])
  })

  it('opens ports before all other changes', () => {
    const init: PlannedSwarmChange = {
      ...{ swarm: 'prod', machine: 'm1', action: 'init', why: 'the swarm does not exist yet' },
    }
    const changes = planned({ states: { m1: outside } })
    expect(texts(inPhases([init, ...changes]).flat())).toEqual(['m1 open-ports', 'm1 init'])
  })

  it('skips a machine in several swarms', () => {
    expect(planned({ states: { m1: outside, w1: open }, ambiguous: ['m1'] })).toEqual([])
  })
})

/**
 * Creates a driver whose firewall fleet manages, and an inventory with a host of that driver and a host of another
 * driver.
 */
function provider(observe?: PeerAccess['observe']) {
  const groups: PeerGroup[] = []
  const peerAccess: PeerAccess = {
    observe: observe ?? (async (hosts) => new Map([...hosts.keys()].map((name) => [name, open]))),
    async open(_host, group, record) {
      groups.push(group)
      await record({ peerGroup: 'sg-1' })
    },
    close: async () => ({ peerGroup: undefined }),
  }
  const token = '00000001-1c2d-4e3f-8a4b-5c6d7e8f9a0b'
  const host = { phase: 'ready', address: '192.0.2.1', token, resources: { region: 'r' } } as const
  const store = openMemoryInventory({
    m1: { driver: 'aws', host },
    own: { driver: 'ssh', host: { phase: 'ready', address: '192.0.2.2' } },
  })
  const context = {
    signal: new AbortController().signal,
    inventory: async () => store,
    loadDriver: async (name: string) => (name === 'aws' ? { peerAccess } : {}),
  } as unknown as Context
  const work = async (name: string) => {
    const machine = (await store.read()).machines.get(name as MachineName)
    if (machine === undefined) throw new Error('no machine')
    return { context, swarm: 'prod', machine, progress: () => {}, signal: context.signal }
  }
  const resources = async () =>
    (await store.read()).machines.get('m1' as MachineName)?.host?.resources
  return { context, store, groups, work, resources }
}

describe('the ports of a swarm', () => {
  it('are opened by the driver, which records each resource before the host uses it', async () => {
    const { groups, work, resources } = provider()
    await openPorts(await work('m1'))
    expect(await resources()).toEqual({ region: 'r', peerGroup: 'sg-1' })
    expect(groups).toMatchObject([
      {
        ...{ fleet: '4f0c2f6e', name: 'prod' },
        tags: { fleet: 'true', 'fleet:id': '4f0c2f6e', 'fleet:swarm': 'prod' },
      },
    ])
    await closePorts(await work('m1'))
    expect(await resources()).toEqual({ region: 'r' })
    await openPorts(await work('own')) // no ports to open
    expect(groups).toHaveLength(1)
  })

  it('are observed for drivers that manage a firewall; a provider that fails causes an issue', async () => {
    const { context, store } = provider()
    const observed = await observePorts(context, await store.read(), prod)
    expect([...observed.states]).toEqual([['m1', open]])
    expect([...observed.drivers]).toEqual(['aws'])
    const failing = provider(async () => {
      throw new UserError('credentials', 'no AWS credentials were found')
    })
    const failed = await observePorts(failing.context, await failing.store.read(), prod)
    expect(failed.issues).toEqual([
      {
        why: 'could not check ports for swarm prod (driver aws): no AWS credentials were found',
      },
    ])
  })
})
