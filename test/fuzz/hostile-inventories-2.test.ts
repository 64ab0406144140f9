import { expect, test } from 'vitest'
import { checkInventories } from '../support/hostile/check-inventories.ts'

test('no command does what a hostile inventory wants, part 2 of 2', async () => {
  const { checked, taken } = await checkInventories(1, 2)
  // Or this would test nothing but the check of the file.
  expect(taken).toBeGreaterThan(checked)
})
