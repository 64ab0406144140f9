import { describe, expect, it } from 'vitest'
import type { SwarmInfo } from '../../../../src/engine/swarm/info.ts'
import type { SwarmNode } from '../../../../src/engine/swarm/nodes.ts'
import { UserError } from '../../../../src/errors.ts'
import type { Machine } from '../../../../src/machine/machine.ts'
import type { MachineName } from '../../../../src/machine/name.ts'
import type { Change } from '../../../../src/operations/plan/change-plan.ts'
import {
  machinesLosingQuorum,
  neededNodes,
} from '../../../../src/operations/swarm/guard-machines.ts'
import { planSwarm, type SwarmSituation } from '../../../../src/operations/swarm/plan-members.ts'

const cluster = 'c'.repeat(25)
const prod = { name: 'prod', managers: 'role=manager', workers: 'role=web', id: cluster }

const machine = (name: string, labels: Record<string, string>): Machine => ({
  ...{ name: name as MachineName, driver: 'ssh', labels },
  host: { phase: 'ready', address: '192.0.2.1' },
})

/** Managers `m1` to `m3` and workers `w1` and `w2`. */
const machines = [
  ...['m1', 'm2', 'm3'].map((name) => machine(name, { role: 'manager' })),
  ...['w1', 'w2'].map((name) => machine(name, { role: 'web' })),
]

const inactive: SwarmInfo = {
  ...{ nodeId: undefined, state: 'inactive', isManager: false, error: '', managers: [] },
}

const infoOf = (name: string, isManager: boolean): SwarmInfo => ({
  ...{ nodeId: `node-${name}`, state: 'active', isManager, error: '', managers: ['node-m1'] },
  ...(isManager && { cluster: { id: cluster, labels: {}, addressPools: ['10.99.0.0/16'] } }),
})

const nodeOf = (name: string, role: string, more: Partial<SwarmNode> = {}): SwarmNode => ({
  ID: `node-${name}`,
  Version: { Index: 1 },
  Spec: {
    ...{ Role: role, Availability: 'active' },
    Labels: {
      ...{ role: role === 'manager' ? 'manager' : 'web' },
      ...{ 'fleet.machine': name, 'fleet.labels': 'role' },
    },
  },
  Description: { Hostname: name, Engine: { EngineVersion: '20.10' } },
  Status: { State: 'ready', Addr: '192.0.2.1' },
  ...(role === 'manager' && {
    ManagerStatus: { Leader: name === 'm1', Reachability: 'reachable', Addr: '192.0.2.1:2377' },
  }),
  ...more,
})

/** Swarm information of an engine that has failed, which does not report its node ID. */
const failedInfo = (name: string): SwarmInfo => ({
  ...{ ...inactive, state: 'error', error: `${name} cannot\njoin raft` },
})

/** Returns a node that is down and has not joined the managers, even if it was promoted. */
const downNode = (name: string, role: string): SwarmNode => {
  const { ManagerStatus: _status, ...node } = nodeOf(name, role)
  return { ...node, Status: { State: 'down', Addr: '' } }
}

const allNodes = [
  ...['m1', 'm2', 'm3'].map((name) => nodeOf(name, 'manager')),
  ...['w1', 'w2'].map((name) => nodeOf(name, 'worker')),
]

const unreachable = (name: string): SwarmNode =>
  nodeOf(name, 'manager', {
    Status: { State: 'down', Addr: '' },
    ManagerStatus: { Leader: false, Reachability: 'unreachable', Addr: '' },
  })

/** Returns a situation in which the nodes match the inventory, with modifications. */
function situation({
  engines = {},
  nodes = allNodes,
  labels = {},
  own = {},
  ...more
}: {
  engines?: Record<string, SwarmInfo | UserError>
  nodes?: readonly SwarmNode[]
  /** Labels of the cluster. */
  own?: Record<string, string>
  /** Labels, keyed by machine. */
  labels?: Record<string, Record<string, string>>
} & Partial<Pick<SwarmSituation, 'changes' | 'chosen' | 'ambiguous'>> = {}): SwarmSituation {
  const all = machines.map((one) => ({ ...one, labels: labels[one.name] ?? one.labels ?? {} }))
  const answers = new Map<string, SwarmInfo | UserError>(
    all.map(({ name }) => [name, infoOf(name, name.startsWith('m'))]),
  )
  for (const [name, answer] of Object.entries(engines)) answers.set(name, answer)
  const isKnown = [...answers.values()].some((one) => !(one instanceof UserError) && one.cluster)
  return {
    ...{ inventory: '0123abcd', machines: new Map(all.map((one) => [one.name, one])) },
    ...{ changes: [], unreachable: new Set(), ambiguous: new Set(), engines: answers },
    clusters: new Map(
      isKnown
        ? [
            [
              cluster,
              { id: cluster, labels: own, addressPools: ['10.99.0.0/16'], manager: 'm1', nodes },
            ],
          ]
        : [],
    ),
    ...more,
  }
}

/** Returns the planned changes and the issues as text. */
function planned(at: SwarmSituation, swarm: Parameters<typeof planSwarm>[0] = prod) {
  const { changes, issues } = planSwarm(swarm, at)
  return {
    changes: changes.map(({ machine: name, action, role = '', after = '' }) =>
      [name, action, role, after].filter((word) => word !== '').join(' '),
    ),
    issues: issues.map(({ machine: name = '', why }) => `${name}: ${why}`),
  }
}

const none = Object.fromEntries(machines.map(({ name }) => [name, inactive]))
const silent = new UserError('unreachable', 'no answer within 10 s')
const fresh = { name: 'prod', managers: 'role=manager', workers: 'role=web' }

describe('planning the changes of a swarm', () => {
  it('plans nothing if the nodes match the inventory', () => {
    expect(planned(situation())).toEqual({ changes: [], issues: [] })
  })

  it('initializes a new swarm on the first manager, and joins the other machines', () => {
    expect(planned(situation({ engines: none }), fresh).changes).toEqual([
      ...['m1 init', 'm2 join manager', 'm3 join manager', 'w1 join worker', 'w2 join worker'],
    ])
  })

  it('does not initialize a swarm while a manager may already be in one', () => {
    const { changes, issues } = planned(situation({ engines: { ...none, m2: silent } }), fresh)
    expect(changes).toEqual([])
    expect(issues).toEqual([
      expect.stringMatching(/cannot be initialized yet: m2 may already be in a swarm/),
    ])
  })

  it('records a swarm whose initialization was interrupted', () => {
    const own = { 'fleet.id': '0123abcd', 'fleet.swarm': 'prod' }
    const engines = { ...none, m1: infoOf('m1', true) }
    const nodes = [nodeOf('m1', 'manager')]
    expect(planned(situation({ engines, nodes, own }), fresh).changes).toEqual([
      ...['m1 record', 'm2 join manager', 'm3 join manager', 'w1 join worker', 'w2 join worker'],
    ])
  })

  it('does not touch a swarm that fleet did not initialize', () => {
    const engines = { ...none, m1: infoOf('m1', true) }
    const { changes, issues } = planned(situation({ engines }), fresh)
    expect(changes).toEqual([])
    expect(issues).toEqual([expect.stringMatching(/m1: the machine is in a swarm other than/)])
  })

  it('never initializes a recorded swarm again', () => {
    const { changes, issues } = planned(situation({ engines: none }))
    expect(changes).toEqual([])
    expect(issues).toEqual([
      expect.stringMatching(/no machine belongs to cluster c+ of swarm prod/),
    ])
  })

  it('reports managers without a leader, and managers that do not respond', () => {
    const leaderless = { ...infoOf('m1', true), cluster: undefined }
    const lost = situation({ engines: { ...none, m1: leaderless, m2: silent, m3: silent } })
    expect(planned(lost)).toEqual({
      changes: [],
      issues: [expect.stringMatching(/prod has no leader: m1 cannot reach/)],
    })
    const gone = situation({ engines: { ...none, m1: silent, m2: silent, m3: silent } })
    expect(planned(gone).issues).toEqual([
      expect.stringMatching(/no manager of swarm prod responded: m1, m2, m3/),
    ])
  })

  it('promotes nodes before it demotes others', () => {
    const labels = { m1: { role: 'web' }, w1: { role: 'manager' } }
    expect(planned(situation({ labels })).changes).toEqual([
      ...['w1 promote', 'm1 label', 'w1 label', 'm1 demote'],
    ])
  })

  it('makes a machine leave that no selector matches, and join after it is created', () => {
    const changes: Change[] = [{ machine: 'w2', action: 'create', why: '' }]
    const engines = { w2: silent }
    const nodes = allNodes.filter(({ ID }) => ID !== 'node-w2')
    const labels = { w1: { role: 'db' } }
    expect(planned(situation({ changes, engines, nodes, labels })).changes).toEqual([
      ...['w2 join worker create', 'w1 leave'],
    ])
  })

  it('keeps labels set by others, and a node drained by the user', () => {
    const [spec] = allNodes.filter(({ ID }) => ID === 'node-w1').map(({ Spec }) => Spec)
    if (spec === undefined) throw new Error('no node')
    const drained = nodeOf('w1', 'worker', {
      Spec: { ...spec, Availability: 'drain', Labels: { ...spec.Labels, owner: 'ben' } },
    })
    const nodes = allNodes.map((node) => (node.ID === 'node-w1' ? drained : node))
    expect(planned(situation({ nodes })).changes).toEqual([])
  })

  it('finishes a node that has joined, but has no labels yet', () => {
    const joined = nodeOf('w1', 'worker', {
      Spec: { Role: 'worker', Availability: 'drain', Labels: {} },
    })
    const nodes = allNodes.map((node) => (node.ID === 'node-w1' ? joined : node))
    const { changes } = planSwarm(prod, situation({ nodes }))
    expect(changes).toMatchObject([
      {
        machine: 'w1',
        action: 'label',
        why: expect.stringMatching(/^the machine has not finished joining/),
      },
    ])
  })

  it('removes the old node of a machine, and reports nodes that belong to no machine', () => {
    const old = nodeOf('old', 'worker', {
      Spec: { Role: 'worker', Availability: 'active', Labels: { 'fleet.machine': 'w1' } },
      Status: { State: 'down', Addr: '' },
    })
    const other = nodeOf('other', 'worker', {
      Spec: { Role: 'worker', Availability: 'active', Labels: {} },
    })
    expect(planned(situation({ nodes: [...allNodes, old, other] }))).toEqual({
      changes: ['w1 remove-node'],
      issues: [
        expect.stringMatching(/node node-other in swarm prod .* does not belong to a machine/),
      ],
    })
  })

  it('reports a machine in another swarm, a removed node and a failed one', () => {
    const other = { ...infoOf('w1', false), nodeId: 'node-x', managers: ['node-y'] }
    const removed = { ...infoOf('w2', false), nodeId: 'node-z' }
    const failed = { ...infoOf('m3', true), state: 'error', error: 'certificate\nexpired' }
    const { changes, issues } = planned(
      situation({
        engines: { w1: other, w2: removed, m3: failed },
        nodes: allNodes.filter(({ Spec }) => Spec.Role === 'manager'),
      }),
    )
    expect(changes).toEqual([])
    expect(issues).toEqual([
      ...['m3: the node cannot take part in its swarm: certificate expired'],
      ...[
        'w1: the machine is in a swarm other than prod',
        "w2: this machine's node node-z was removed from swarm prod",
      ],
    ])
  })

  describe('with an engine that has failed and does not report its node ID', () => {
    const withNode = (node: SwarmNode): readonly SwarmNode[] =>
      allNodes.map((one) => (one.ID === node.ID ? node : one))

    it('forces a worker that is down to leave, and to join again', () => {
      const at = situation({
        engines: { w1: failedInfo('w1') },
        nodes: withNode(downNode('w1', 'worker')),
      })
      expect(planned(at)).toEqual({ changes: ['w1 join worker', 'w1 remove-node'], issues: [] })
      expect(planSwarm(prod, at).changes[0]?.why).toMatch(
        /cannot take part in its swarm: w1 cannot join raft; the node is down, so the machine will be forced to leave/,
      )
    })

    it('does the same for a promoted node that has not joined the managers', () => {
      const nodes = withNode(downNode('w1', 'manager'))
      const labels = { w1: { role: 'manager' } }
      const at = situation({ engines: { w1: failedInfo('w1') }, nodes, labels })
      expect(planned(at)).toEqual({ changes: ['w1 join manager', 'w1 remove-node'], issues: [] })
      const none = situation({ engines: { w1: failedInfo('w1') }, nodes, labels: { w1: {} } })
      expect(planned(none)).toEqual({ changes: ['w1 leave'], issues: [] })
    })

    it.each([
      ['a manager', 'm3', withNode(unreachable('m3'))],
      ['a node that is ready', 'w1', allNodes],
      [
        'a machine without a node in the swarm',
        'w1',
        allNodes.filter(({ ID }) => ID !== 'node-w1'),
      ],
    ])('leaves %s to the user, with the error and the command', (_what, name, nodes) => {
      const at = situation({ engines: { [name]: failedInfo(name) }, nodes })
      const { changes, issues } = planSwarm(prod, at)
      expect(changes).toEqual([])
      expect(issues).toEqual([
        {
          machine: name,
          why: `the node cannot take part in its swarm: ${name} cannot join raft`,
          hint: `to make the machine rejoin: fleet -m ${name} docker swarm leave --force && fleet apply`,
        },
      ])
    })

    it('keeps the node of a locked manager', () => {
      const locked = { ...inactive, state: 'locked' }
      const at = situation({ engines: { m3: locked }, nodes: withNode(unreachable('m3')) })
      expect(planned(at)).toEqual({
        changes: [],
        issues: ['m3: the swarm is locked'],
      })
    })
  })

  it('changes nothing for a machine in two swarms', () => {
    const at = situation({ labels: { w1: { role: 'db' } }, ambiguous: new Set(['w1']) })
    expect(planned(at)).toEqual({ changes: [], issues: [] })
  })

  it('reports a different address pool, which cannot be changed', () => {
    const { issues } = planned(situation(), { ...prod, addressPool: '10.50.0.0/16' })
    expect(issues).toEqual([expect.stringMatching(/has the address pool 10.99.0.0\/16, not/)])
  })
})

const removal = (name: string): Change => ({ machine: name, action: 'remove', why: '' })

describe('the quorum of a swarm', () => {
  const nodes = [unreachable('m3'), ...allNodes.filter(({ ID }) => ID !== 'node-m3')]

  it('is preserved when managers are demoted or leave', () => {
    const labels = { m1: { role: 'web' }, m2: { role: 'db' } }
    const engines = { m3: silent }
    const { changes, issues } = planned(situation({ nodes, labels, engines }))
    expect(changes).toEqual(['m1 label'])
    expect(issues).toEqual([
      expect.stringMatching(/^m3: could not compare swarm prod with the host/),
      expect.stringMatching(/^m1: .*only 1 of 2 remaining managers is reachable/),
      expect.stringMatching(/^m2: .*only 1 of 2 remaining managers is reachable/),
    ])
  })

  it('always keeps the last manager', () => {
    const alone = { ...prod, managers: 'm3' }
    const one = [nodeOf('m1', 'manager'), nodeOf('w1', 'worker')]
    const engines = { m2: silent, m3: silent, w2: silent }
    const at = situation({ nodes: one, engines, labels: { m1: { role: 'web' } } })
    const { issues } = planned(at, alone)
    expect(issues.at(-1)).toMatch(/m1: .*the swarm would have no manager/)
  })

  it('is preserved when machines are removed, replaced or stopped, unless all of them are', () => {
    const swarms = new Map([['prod', prod]])
    const refusedOf = (names: readonly string[]) => {
      const { refused, issues } = machinesLosingQuorum(
        { swarms },
        situation(),
        names.map((name) => removal(name)),
      )
      return { refused: [...refused].map((one) => one.machine), issues: issues.length }
    }
    expect(refusedOf(['m1', 'w1'])).toEqual({ refused: [], issues: 0 })
    expect(refusedOf(['m1', 'm2', 'w1'])).toEqual({ refused: ['m2'], issues: 1 })
    expect(refusedOf(machines.map(({ name }) => name))).toEqual({ refused: [], issues: 0 })
  })

  it('is preserved while a resized host is stopped', () => {
    const swarms = new Map([['prod', prod]])
    const resize: Change = { machine: 'm2', action: 'change', why: 'size', stops: true }
    const nodes = [unreachable('m1'), ...allNodes.slice(1)]
    const { refused } = machinesLosingQuorum({ swarms }, situation({ nodes }), [resize])
    expect([...refused]).toEqual([resize])
    const { stops: _stops, ...live } = resize
    expect([...machinesLosingQuorum({ swarms }, situation({ nodes }), [live]).refused]).toEqual([])
  })

  it.each([
    ['fail', 3, ['m1'], []],
    ['fail', 3, ['m1', 'm2'], ['m2']],
    ['restart', 3, ['m1', 'm2', 'm3'], []],
    ['leave', 3, ['m1', 'm2'], ['m2']],
    ['fail', 2, ['m1'], ['m1']],
    ['leave', 2, ['m1'], []],
    ['leave', 2, ['m1', 'm2'], ['m2']],
    ['restart', 2, ['m1', 'm2'], []],
    ['fail', 1, ['m1'], ['m1']],
    ['leave', 1, ['m1'], ['m1']],
    ['restart', 1, ['m1'], []],
  ] as const)(
    'with the interruption "%s" and %i managers: of the interrupted nodes %j, %j are needed',
    (interruption, count, names, needed) => {
      const nodes = allNodes.filter(({ ID }) => !/m[123]/.test(ID) || Number(ID.at(-1)) <= count)
      const all = new Map(names.map((name) => [`node-${name}`, interruption]))
      const found = [...neededNodes(nodes, all).keys()]
      expect(found).toEqual(needed.map((name) => `node-${name}`))
      // an interruption of all nodes is never prevented
      const whole = new Map(nodes.map(({ ID }) => [ID, interruption]))
      expect(neededNodes(nodes, whole).size).toBe(0)
    },
  )
})
