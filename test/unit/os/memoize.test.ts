import { expect, test } from 'vitest'
import { shareNextCall } from '../../../src/os/memoize.ts'

test('calls during a run share the next one, which begins after all of them', async () => {
  const begun: ((value: string) => void)[] = []
  const call = shareNextCall(() => new Promise<string>((resolve) => begun.push(resolve)))
  const first = call()
  const others = [call(), call()]
  expect(begun).toHaveLength(1)
  begun[0]?.('old')
  expect(await first).toBe('old')
  await expect.poll(() => begun.length).toBe(2)
  const later = call()
  begun[1]?.('new')
  expect(await Promise.all(others)).toEqual(['new', 'new'])
  await expect.poll(() => begun.length).toBe(3)
  begun[2]?.('newest')
  expect(await later).toBe('newest')
})

test('a run that fails ends alone, and the next one begins all the same', async () => {
  let runs = 0
  const call = shareNextCall(async () => {
    runs += 1
    if (runs === 1) throw new Error('failed')
    return runs
  })
  const [first, second] = await Promise.allSettled([call(), call()])
  expect(first).toMatchObject({ status: 'rejected' })
  expect(second).toEqual({ status: 'fulfilled', value: 2 })
})
