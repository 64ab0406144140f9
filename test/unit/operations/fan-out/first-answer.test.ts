import { expect, test } from 'vitest'
import { firstAnswer } from '../../../../src/operations/fan-out/first-answer.ts'

const places = ['a', 'b', 'c'].map((name) => ({ name }))
const { signal } = new AbortController()
const long = { patienceMs: 1_000_000, answerMs: 1_000_000, signal }

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

test('a place that is slow does not keep the next one waiting', async () => {
  const ask = ({ name }: { readonly name: string }) =>
    name === 'a' ? never() : Promise.resolve(name)
  expect(await firstAnswer(places, ask, { ...long, patienceMs: 1 })).toBe('b')
})

test('a slow place may still answer after the others have failed', async () => {
  let answerA: (answer: string) => void = () => {}
  const answer = await firstAnswer(
    places,
    ({ name }) => {
      if (name === 'a') return new Promise<string>((resolve) => (answerA = resolve))
      if (name === 'c') setImmediate(() => answerA('late'))
      return Promise.resolve(undefined)
    },
    { ...long, patienceMs: 1 },
  )
  expect(answer).toBe('late')
})

test('there is no answer if no place has one in time', async () => {
  const limits = { patienceMs: 1, answerMs: 5, signal }
  expect(await firstAnswer(places, never, limits)).toBeUndefined()
})

test('the reason of an abort is thrown', async () => {
  const stop = new AbortController()
  const asking = firstAnswer(places, never, { ...long, patienceMs: 1, signal: stop.signal })
  stop.abort(new Error('interrupted'))
  await expect(asking).rejects.toThrow('interrupted')
})
