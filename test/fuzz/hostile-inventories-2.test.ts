import { expect, test } from 'vitest'
import { checkInventories } from '../support/hostile/check-inventories.ts'

test('no command does what a hostile inventory asks for, part 2 of 2', async () => {
  const { checked, taken } = await checkInventories(1, 2)
  // Otherwise, the test would cover only the validation of the file.
  expect(taken).toBeGreaterThan(checked)
})
