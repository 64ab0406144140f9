import { expect, test } from 'vitest'
import { parseFigures } from '../../../../src/operations/top/host-figures.ts'

const line = '0.42 1000 3000 4000000 1000000 100 25\n'

test('reads the figures of a host, and the use of its processors by the reading before', () => {
  const first = parseFigures(line)
  expect(first?.figures).toEqual({
    load: 0.42,
    cpu: undefined,
    memory: { used: 3_072_000_000, total: 4_096_000_000 },
    disk: { used: 25_600, total: 102_400 },
  })
  const next = parseFigures('0.42 1100 3300 4000000 1000000 100 25', first?.times)
  expect(next?.figures.cpu).toBe(0.25)
})

test('a host without figures of its disk has the others', () => {
  expect(parseFigures('1 1 1 1 1  ')?.figures.disk).toBeUndefined()
})

test.each(['', 'Welcome to Debian', '1 2 3', 'a b c d e f g'])('ignores %j', (text) => {
  expect(parseFigures(text)).toBeUndefined()
})

test('counters that went back, as after a restart, give a share within its bounds', () => {
  expect(parseFigures('1 5 5 1 1', { busy: 1000, idle: 1000 })?.figures.cpu).toBeUndefined()
  expect(parseFigures('1 5 2000 1 1', { busy: 1000, idle: 0 })?.figures.cpu).toBe(0)
})
