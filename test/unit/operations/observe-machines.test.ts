import { expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import type { Machine } from '../../../src/machine/machine.ts'
import { createClock } from '../../../src/operations/clock.ts'
import type { Context } from '../../../src/operations/context.ts'
import { observeMachines } from '../../../src/operations/machine/observe-machines.ts'
import { collect } from '../../support/collect.ts'
import { makeGate } from '../../support/deferred.ts'

const names = ['web-1', 'db', 'web-2']
const machines = names.map(
  (name) =>
    ({
      ...{ name, driver: 'ssh' },
      host: { phase: 'ready', address: '192.0.2.1', user: 'u' },
    }) as unknown as Machine,
)

test('machines are reported in the order of the inventory, even if they answer in another order', async () => {
  const gates = new Map(names.map((name) => [name, makeGate()]))
  const context = {
    signal: new AbortController().signal,
    clock: createClock(),
    loadDriver: async () => ({}),
    async connect({ name }: Machine) {
      await gates.get(name)?.promise
      throw new UserError('unreachable', `${name} is off`, { machine: name })
    },
  } as unknown as Context
  const answered: string[] = []
  const observed = collect(
    observeMachines(context, machines, {
      timeoutMs: 600_000,
      onAnswer(name) {
        answered.push(name)
        gates.get(names[names.indexOf(name) - 1] ?? '')?.resolve()
      },
    }),
  )
  gates.get('web-2')?.resolve()
  expect((await observed).map(({ machine, state }) => [machine.name, state])).toEqual(
    names.map((name) => [name, 'unreachable']),
  )
  expect(answered).toEqual(['web-2', 'db', 'web-1'])
})
