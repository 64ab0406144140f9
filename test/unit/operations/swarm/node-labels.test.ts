import { describe, expect, it } from 'vitest'
import type { SwarmNode } from '../../../../src/engine/swarm/nodes.ts'
import {
  activated,
  canRejoin,
  describeLabels,
  drained,
  withLabels,
} from '../../../../src/operations/swarm/node-labels.ts'
import type { MachineName } from '../../../../src/machine/name.ts'

const machine = { name: 'web-1' as MachineName, labels: { role: 'web' } }
const Labels = { role: 'web', 'fleet.machine': 'web-1', 'fleet.labels': 'role' }
const active = { Role: 'worker', Availability: 'active', Labels }
const byPerson = { ...active, Availability: 'drain' }

const failedNode = {
  ...{ ID: 'n1', Version: 1, Spec: active, Status: { State: 'down', Addr: '' } },
  Description: { Hostname: 'web-1' },
} as unknown as SwarmNode
const canRejoinAs = (change: object) => canRejoin([{ ...failedNode, ...change }])

describe('a node whose engine has failed', () => {
  it('can rejoin unless it is ready, a manager, or drained by the user', () => {
    expect(canRejoin([])).toBe(false)
    expect(canRejoinAs({})).toBe(true)
    expect(canRejoinAs({ Spec: drained(active) })).toBe(true)
    expect(canRejoinAs({ Spec: byPerson })).toBe(false)
    expect(canRejoinAs({ Status: { State: 'ready' } })).toBe(false)
    expect(canRejoinAs({ ManagerStatus: { Reachability: 'unreachable' } })).toBe(false)
  })
})

describe('a node drained by fleet', () => {
  it('is activated again, and loses the label', () => {
    expect(drained(active).Availability).toBe('drain')
    expect(activated(drained(active))).toEqual(active)
    expect(describeLabels({}, machine, drained(active))).toBe('the node is still drained')
    expect(withLabels({}, machine, drained(active))).toEqual(active)
  })

  it('is distinguished from a node drained by the user', () => {
    expect(drained(byPerson)).toEqual(byPerson)
    expect(activated(byPerson)).toEqual(byPerson)
    expect(describeLabels({}, machine, byPerson)).toBeUndefined()
  })

  it('may already have been activated by the user', () => {
    const again = { ...drained(active), Availability: 'active' }
    expect(activated(again)).toEqual(active)
    expect(withLabels({}, machine, again)).toEqual(active)
  })
})
