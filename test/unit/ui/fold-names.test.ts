import { describe, expect, test } from 'vitest'
import { foldNames } from '../../../src/ui/fold-names.ts'

describe('names', () => {
  test.each([
    [['web-1', 'web-2', 'web-3'], 'web-1..web-3'],
    [['web-9', 'web-10', 'web-11', 'web-12', 'db'], 'web-9..web-12, db'],
    [['web-08', 'web-09', 'web-10'], 'web-08..web-10'],
    [['web-8', 'web-09', 'web-10'], 'web-8, web-09, web-10'],
    [['web-1', 'web-2'], 'web-1, web-2'],
    [['web-1', 'web-2', 'web-4'], 'web-1, web-2, web-4'],
    [['a1.eu', 'a2.eu', 'a3.eu', 'a4.us'], 'a1.eu..a3.eu, a4.us'],
    [['a', 'b', 'c'], 'a, b, c'],
    [[], ''],
  ])('%j are told as %j', (names, told) => {
    expect(foldNames(names)).toBe(told)
  })
})
