import { expect, test } from 'vitest'
import { parseFigures } from '../../../../src/operations/top/host-figures.ts'

const line = '0.42 1000 3000 4000000 1000000 100 25\n'

test('parses the figures of a host, and computes processor usage from the previous reading', () => {
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

test('parses the other figures if those of the disk are missing', () => {
  expect(parseFigures('1 1 1 1 1  ')?.figures.disk).toBeUndefined()
})

test.each(['', 'Welcome to Debian', '1 2 3', 'a b c d e f g'])('ignores %j', (text) => {
  expect(parseFigures(text)).toBeUndefined()
})

test('limits processor usage if the counters went back, as after a restart', () => {
  expect(parseFigures('1 5 5 1 1', { busy: 1000, idle: 1000 })?.figures.cpu).toBeUndefined()
  expect(parseFigures('1 5 2000 1 1', { busy: 1000, idle: 0 })?.figures.cpu).toBe(0)
})
