import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createHandshakeLimiter } from '../../../src/transport/ssh/handshake-limiter.ts'

test('a limiter admits its number of handshakes for each server, and the rest in order', async () => {
  const enter = createHandshakeLimiter(2)
  const inside: string[] = []
  const visit = async (name: string, gate: string) => {
    const leave = await enter(gate)
    inside.push(name)
    return leave
  }
  const [a, , c, d] = ['a', 'b', 'c', 'd'].map((name) => visit(name, 'near'))
  void visit('e', 'far')
  await turn()
  expect(inside).toEqual(['a', 'b', 'e'])
  ;(await a)?.()
  await turn()
  expect(inside).toEqual(['a', 'b', 'e', 'c'])
  ;(await c)?.()
  ;(await d)?.()
  const again = await Promise.all([visit('f', 'near'), visit('g', 'far')])
  expect(again).toHaveLength(2)
})
