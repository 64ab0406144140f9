import { expect, test } from 'vitest'
import { memoizeByMachine, shareNextCall } from '../../../src/os/memoize.ts'

test('a forgotten value is disposed of, and the next call creates another one', async () => {
  const disposed: number[] = []
  const forgets: (() => void)[] = []
  const values = memoizeByMachine(async (_: { readonly name: string }, forget) => {
    const number = forgets.push(forget)
    return { number, [Symbol.asyncDispose]: async () => void disposed.push(number) }
  })
  const web = { name: 'web' }
  expect((await values.get(web)).number).toBe(1)
  forgets[0]?.()
  expect((await values.get(web)).number).toBe(2)
  forgets[0]?.() // forgets the first value only: the second one stays
  expect((await values.get(web)).number).toBe(2)
  expect(disposed).toContain(1)
  expect(disposed).not.toContain(2)
  await values.dispose()
  expect(disposed).toContain(2)
})

test('calls during a run share the next run, which starts after all of them', async () => {
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

test('a run that fails does not affect the next one', async () => {
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
