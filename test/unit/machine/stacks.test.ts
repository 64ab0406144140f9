import { describe, expect, it, test } from 'vitest'
import type { Machine } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { batchSize, machinesOf } from '../../../src/machine/stacks.ts'
import { inventoryOf } from '../../../src/state/inventory/inventory.ts'
import { parseInventory } from '../../../src/state/inventory/parse-inventory.ts'
import { head } from '../../support/inventory/edit-text.ts'

const read = (text: string) =>
  inventoryOf(parseInventory(`${head}${text}machines: {}\n`, 'm.yaml', () => undefined).valid)
    .stacks

describe('a stack', () => {
  it('has default values', () => {
    expect(read('stacks:\n  shop: { compose: shop/compose.yaml, on: role=web }\n')).toEqual(
      new Map([
        [
          'shop',
          {
            ...{ name: 'shop', files: ['shop/compose.yaml'], envFiles: [], on: ['role=web'] },
            ...{ batch: 1, wait: 120, profiles: [] },
          },
        ],
      ]),
    )
  })

  it('accepts single values and lists', () => {
    const text = `stacks:
  shop:
    compose: [a.yaml, b/c.yaml]
    on: [role=web, db-*]
    batch: 25%
    wait: 5
    env: [one.env]
    profiles: [web]
    buildOn: web-1
`
    expect(read(text).get('shop')).toEqual({
      ...{ name: 'shop', files: ['a.yaml', 'b/c.yaml'], envFiles: ['one.env'] },
      ...{ on: ['role=web', 'db-*'], batch: '25%', wait: 5, profiles: ['web'], buildOn: 'web-1' },
    })
  })

  test.each([
    ['Shop: { compose: a.yaml, on: all }', /stacks\.Shop/],
    ['s: { on: all }', /compose/],
    ['s: { compose: a.yaml }', /on: missing/],
    ['s: { compose: ../a.yaml, on: all }', /compose/],
    ['s: { compose: /etc/a.yaml, on: all }', /compose/],
    ['s: { compose: ~/a.yaml, on: all }', /compose/],
    ['s: { compose: [], on: all }', /compose/],
    ['s: { compose: a.yaml, env: b/../../c, on: all }', /env/],
    ['s: { compose: a.yaml, on: "=x" }', /on/],
    ['s: { compose: a.yaml, on: "a,,b" }', /on/],
    ['s: { compose: a.yaml, on: all, batch: 0 }', /batch/],
    ['s: { compose: a.yaml, on: all, batch: 101% }', /batch/],
    ['s: { compose: a.yaml, on: all, wait: 0 }', /wait/],
    ['s: { compose: a.yaml, on: all, profiles: [--x] }', /profiles/],
    ['s: { compose: a.yaml, on: all, buildOn: -x }', /buildOn/],
    ['s: { compose: a.yaml, on: all, swarm: prod }', /swarm/],
  ])('rejects %s', (entry, problem) => {
    expect(() => read(`stacks:\n  ${entry}\n`)).toThrow(problem)
  })
})

const machine = (name: string, role: string): Machine => ({
  name: name as MachineName,
  driver: 'ssh',
  labels: { role },
})

describe('the machines of a stack', () => {
  const machines = [machine('web-1', 'web'), machine('db-1', 'db'), machine('web-2', 'web')]
  test.each([
    [['role=web'], ['web-1', 'web-2']],
    [['db-*,web-2'], ['db-1', 'web-2']],
    [['role=web', 'web-2'], ['web-2']],
    [['role=none'], []],
  ])('%j selects %j', (on, names) => {
    expect(machinesOf({ on }, machines).map(({ name }) => name)).toEqual(names)
  })

  test.each([
    [2, 10, 2],
    ['25%', 10, 2],
    ['25%', 3, 1],
    ['100%', 7, 7],
  ] as const)('a batch of %s of %d machines has %d', (batch, total, size) => {
    expect(batchSize({ batch }, total)).toBe(size)
  })
})
