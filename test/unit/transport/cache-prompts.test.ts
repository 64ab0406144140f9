import { expect, test } from 'vitest'
import type { Question } from '../../../src/transport/ssh/connect.ts'
import { cachePrompts } from '../../../src/transport/cache-prompts.ts'

const passphrase = (sharedAs: string): Question => ({
  text: 'Passphrase:',
  secret: true,
  sharedAs,
})

test('asks a shared question once for all connections, and every other question each time', async () => {
  const asked: string[] = []
  const prompt = cachePrompts(async ({ text }) => `answer ${asked.push(text)}`)
  const password: Question = { text: 'Password:', secret: true }
  const answers = await Promise.all([
    ...['key 0', 'key 0', 'key 1'].map((sharedAs) => prompt(passphrase(sharedAs))),
    ...[password, password].map(prompt),
  ])
  expect(answers).toEqual(['answer 1', 'answer 1', 'answer 2', 'answer 3', 'answer 4'])
})

test('does not repeat a shared question that was not answered', async () => {
  let asked = 0
  const prompt = cachePrompts(() => Promise.reject(new Error(`no answer ${(asked += 1)}`)))
  const question = { text: 'Passphrase:', secret: true, sharedAs: 'key 0' }
  for (const _ of [1, 2]) await expect(prompt(question)).rejects.toThrow('no answer 1')
})
