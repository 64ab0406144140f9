import { describe, expect, test } from 'vitest'
import { foldNames, namesAmong } from '../../../src/ui/fold-names.ts'

describe('a list of machine names', () => {
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
  ])('with the names %j is shown as %j', (names, text) => {
    expect(foldNames(names)).toBe(text)
  })

  test('is replaced with a count if it includes all machines', () => {
    const names = ['a', 'c', 'z']
    expect([namesAmong(names, 3), namesAmong(names, 4), namesAmong(['a'], 1)]).toEqual([
      'all 3 machines',
      'a, c, z',
      'a',
    ])
    expect(namesAmong(['a', 'b'], 2)).toBe('both machines')
  })
})
