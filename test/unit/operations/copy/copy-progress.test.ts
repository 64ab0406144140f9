import { expect, test } from 'vitest'
import { describeProgress } from '../../../../src/commands/machine/cp.ts'

test.each([
  [{ bytes: 225e6, total: 500e6 }, 2, '45% of 500MB, 113MB/s, 3s left'],
  [{ bytes: 1e6, total: 500e6 }, 1, '0% of 500MB, 1MB/s, 8m19s left'],
  [{ bytes: 500e6, total: 500e6 }, 5, '100% of 500MB, 100MB/s, 0s left'],
  [{ bytes: 600e6, total: 500e6 }, 6, '600MB, 100MB/s'],
  [{ bytes: 3e6, total: undefined }, 1, '3MB, 3MB/s'],
  [{ bytes: 0, total: 10 }, 0, '0B, 0B/s'],
])('the progress %j after %d s is shown as %s', (state, seconds, text) => {
  expect(describeProgress(state, seconds)).toBe(text)
})
