import { describe, expect, it } from 'vitest'
import { findSwarmProblems, rolesOf } from '../../../src/machine/swarms.ts'
import { inventoryOf } from '../../../src/state/inventory/inventory.ts'
import { parseInventory } from '../../../src/state/inventory/parse-inventory.ts'
import { head } from '../../support/inventory/edit-text.ts'

const machines = `machines:
  m-1: { driver: ssh, labels: { role: manager } }
  m-2: { driver: ssh, labels: { role: manager } }
  m-3: { driver: ssh, labels: { role: manager } }
  w-1: { driver: ssh, labels: { role: web } }
  jump: { driver: ssh, engine: none }
`

const read = (entries: string) =>
  inventoryOf(
    parseInventory(`${head}swarms:\n${entries}${machines}`, 'm.yaml', () => undefined).valid,
  )

const problemsOf = (entries: string): string[] => {
  const inventory = read(entries)
  return findSwarmProblems(inventory.swarms, inventory.machines.values()).map(
    ({ message, isWarning }) => `${isWarning === true ? 'warning: ' : ''}${message}`,
  )
}

describe('a swarm', () => {
  it('consists of the selected machines that have an engine', () => {
    const { swarms, machines: all } = read('  prod: { managers: role=manager, workers: all }\n')
    const [prod] = swarms.values()
    if (prod === undefined) throw new Error('no swarm')
    expect([...rolesOf(prod, all.values())]).toEqual([
      ...[
        ['m-1', 'manager'],
        ['m-2', 'manager'],
        ['m-3', 'manager'],
        ['w-1', 'worker'],
      ],
    ])
    expect([...rolesOf({ managers: 'm-1' }, all.values()).keys()]).toEqual(['m-1'])
  })

  it.each([
    ['Prod: { managers: all }', /swarms\.Prod/],
    ['prod: { workers: all }', /swarms\.prod\.managers/],
    ['prod: { managers: state=running }', /swarms\.prod\.managers/],
    ['prod: { managers: all, id: x }', /swarms\.prod\.id/],
    ['prod: { managers: all, addressPool: 10.99.0.0 }', /swarms\.prod\.addressPool/],
    ['prod: { managers: all, addressPool: 10.300.0.0/16 }', /swarms\.prod\.addressPool/],
    ['prod: { managers: all, autolock: 1 }', /autolock/],
  ])('is refused as %s', (entry, problem) => {
    expect(() => read(`  ${entry}\n`)).toThrow(problem)
  })

  it('needs managers, and machines that exist and are in no other swarm', () => {
    expect(problemsOf('  prod: { managers: role=manager, workers: role=web }\n')).toEqual([])
    expect(problemsOf('  prod: { managers: role=none, workers: role=no }\n')).toEqual([
      ...[
        'swarm prod: no machine matches the selector for managers',
        'swarm prod: no machine matches the selector for workers',
      ],
    ])
    const both = '  prod: { managers: role=manager }\n  test: { managers: m-3 }\n'
    expect(problemsOf(both)).toEqual([
      'm-3 is in the swarms prod and test; a machine can be in only one swarm',
    ])
    expect(problemsOf('  prod: { managers: [m-1, m-2] }\n')).toEqual([
      expect.stringMatching(/^warning: swarm prod has 2 managers/),
    ])
  })

  it('cannot have the name of a machine', () => {
    expect(problemsOf('  w-1: { managers: m-1 }\n')).toEqual([
      'w-1 is both a machine name and a swarm name, so -m w-1 is ambiguous',
    ])
  })
})
