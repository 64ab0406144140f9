import { describe, expect, it } from 'vitest'
import {
  activated,
  describeLabels,
  drained,
  withLabels,
} from '../../../../src/operations/swarm/node-labels.ts'
import type { MachineName } from '../../../../src/machine/name.ts'

const machine = { name: 'web-1' as MachineName, labels: { role: 'web' } }
const Labels = { role: 'web', 'fleet.machine': 'web-1', 'fleet.labels': 'role' }
const active = { Role: 'worker', Availability: 'active', Labels }
const byPerson = { ...active, Availability: 'drain' }

describe('a node that fleet has drained', () => {
  it('becomes active again, without a trace', () => {
    expect(drained(active).Availability).toBe('drain')
    expect(activated(drained(active))).toEqual(active)
    expect(describeLabels({}, machine, drained(active))).toBe('it is still drained')
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
