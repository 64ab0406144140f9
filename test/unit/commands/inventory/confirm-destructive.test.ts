import { expect, test } from 'vitest'
import { effectsOf } from '../../../../src/commands/inventory/confirm-destructive.ts'
import type { Change } from '../../../../src/operations/plan/change-plan.ts'

const change = (machine: string, action: Change['action']): Change => ({
  ...{ machine, action, why: 'of the entry', destructive: true },
})

test('the confirmation states the effect of each kind of destructive change', () => {
  const all = [
    change('a', 'remove'),
    change('b', 'replace'),
    change('c', 'stop'),
    change('d', 'engine-config'),
  ]
  expect(effectsOf(all.slice(0, 1))).toBe('This will delete a and all data on it.')
  expect(effectsOf(all.slice(2, 3))).toBe('This will stop c, which fleet did not create.')
  expect(effectsOf(all.slice(2))).toBe(
    'This will stop c, which fleet did not create. It will also make data on d unavailable: see the list above.',
  )
  expect(effectsOf(all)).toBe(
    'This will delete 2 hosts and all data on them. It will also stop c, which fleet did not create. It will also make data on d unavailable: see the list above.',
  )
})
