import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { matchesGlob } from '../../../src/machine/glob.ts'

/** Reference implementation of glob matching, taken directly from its definition. */
function matchesSlowly(pattern: string, text: string): boolean {
  const [first] = pattern
  if (first === undefined) return text === ''
  const rest = pattern.slice(1)
  if (first === '*') {
    const tails = Array.from({ length: text.length + 1 }, (_, at) => text.slice(at))
    return tails.some((tail) => matchesSlowly(rest, tail))
  }
  return text !== '' && (first === '?' || first === text[0]) && matchesSlowly(rest, text.slice(1))
}

const of = (letters: readonly string[], maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...letters), maxLength })

test('a glob matches exactly the texts of the reference implementation', () => {
  fc.assert(
    fc.property(of(['a', 'b', '*', '?', '.'], 7), of(['a', 'b', '.'], 9), (pattern, text) => {
      expect(matchesGlob(pattern, text)).toBe(matchesSlowly(pattern, text))
    }),
    { numRuns: 5000 },
  )
})

test('a glob with many stars does not take exponential time', () => {
  expect(matchesGlob(`${'*a'.repeat(2000)}b`, 'a'.repeat(5000))).toBe(false)
  expect(matchesGlob(`${'*'.repeat(2000)}b`, `${'a'.repeat(5000)}b`)).toBe(true)
})
