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
  it('is replaced, unless it is ready, a manager, or drained by a person', () => {
    expect(canRejoin([])).toBe(false)
    expect(canRejoinAs({})).toBe(true)
    expect(canRejoinAs({ Spec: drained(active) })).toBe(true)
    expect(canRejoinAs({ Spec: byPerson })).toBe(false)
    expect(canRejoinAs({ Status: { State: 'ready' } })).toBe(false)
    expect(canRejoinAs({ ManagerStatus: { Reachability: 'unreachable' } })).toBe(false)
  })
})

describe('a node that fleet has drained', () => {
  it('becomes active again, without a trace', () => {
    expect(drained(active).Availability).toBe('drain')
    expect(activated(drained(active))).toEqual(active)
    expect(describeLabels({}, machine, drained(active))).toBe('the node is still drained')
    expect(withLabels({}, machine, drained(active))).toEqual(active)
  })

  it('is not one that a person has drained', () => {
    expect(drained(byPerson)).toEqual(byPerson)
    expect(activated(byPerson)).toEqual(byPerson)
    expect(describeLabels({}, machine, byPerson)).toBeUndefined()
  })

  it('may have been activated by a person', () => {
    const again = { ...drained(active), Availability: 'active' }
    expect(activated(again)).toEqual(active)
    expect(withLabels({}, machine, again)).toEqual(active)
  })
})
