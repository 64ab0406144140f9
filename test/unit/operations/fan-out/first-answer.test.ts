import { expect, test } from 'vitest'
import { firstAnswer } from '../../../../src/operations/fan-out/first-answer.ts'
import { makeGate } from '../../../support/deferred.ts'

const places = ['a', 'b', 'c'].map((name) => ({ name }))
const { signal } = new AbortController()
const long = { nextAfterMs: 1_000_000, answerMs: 1_000_000, signal }

const never = (): Promise<string> => new Promise<string>(() => {})

test('the next place is asked after one that fails or has no answer', async () => {
  const asked: string[] = []
  const answer = await firstAnswer(
    places,
    async ({ name }) => {
      asked.push(name)
      if (name === 'a') throw new Error('down')
      return name === 'c' ? 'answer' : undefined
    },
    long,
  )
  expect([answer, asked]).toEqual(['answer', ['a', 'b', 'c']])
})

test('a slow place does not delay asking the next one', async () => {
  const answer = await firstAnswer(
    places,
    ({ name }) => (name === 'a' ? never() : Promise.resolve(name)),
    { ...long, nextAfterMs: 1 },
  )
  expect(answer).toBe('b')
})

test('a slow place can still answer after the others have failed', async () => {
  const slow = makeGate()
  const answer = await firstAnswer(
    places,
    ({ name }) => {
      if (name === 'a') return slow.promise.then(() => 'late')
      if (name === 'c') setImmediate(() => slow.resolve())
      return Promise.resolve(undefined)
    },
    { ...long, nextAfterMs: 1 },
  )
  expect(answer).toBe('late')
})

test('the result is undefined if no place answers in time', async () => {
  const limits = { nextAfterMs: 1, answerMs: 5, signal }
  expect(await firstAnswer(places, never, limits)).toBeUndefined()
})

test('the reason of an abort is thrown', async () => {
  const stop = new AbortController()
  const asking = firstAnswer(places, never, { ...long, nextAfterMs: 1, signal: stop.signal })
  stop.abort(new Error('interrupted'))
  await expect(asking).rejects.toThrow('interrupted')
})
