import { expect, test } from 'vitest'
import { unixTime } from '../../../src/engine/time.ts'

const now = Date.parse('2026-11-23T10:00:00Z')

test.each([
  ['10m', '1795427400.000'],
  ['1h30m', '1795422600.000'],
  ['1.5h', '1795422600.000'],
  ['250ms', '1795427999.750'],
  ['-10s', '1795428010.000'],
  ['2026-11-23T10:00:00Z', '1795428000'],
  ['2026-11-23T12:00:00+02:00', '1795428000'],
  ['2026-11-23T10:00Z', '1795428000'],
  ['2026-11-23T10:00:00.000000001Z', '1795428000.000000001'],
  ['2026-11-23Z', '1795392000'],
  ['1795428000', '1795428000'],
  ['1795428000.5', '1795428000.5'],
])('converts %s to Unix time', (text, expected) => {
  expect(unixTime(text, now)).toBe(expected)
})

test('interprets a date or time without a zone as local time', () => {
  expect(unixTime('2026-11-23')).toBe(String(+new Date(2026, 10, 23) / 1000))
  expect(unixTime('2026-11-23T04:00')).toBe(String(+new Date(2026, 10, 23, 4) / 1000))
})

test.each(['', 'yesterday', '10x', '2026-13-01', '2026-11-23 10:00', 'm', '1h 30m', '--1m'])(
  'refuses %j',
  (text) => {
    expect(() => unixTime(text)).toThrow(expect.objectContaining({ kind: 'usage' }))
  },
)
