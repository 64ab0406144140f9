import { describe, expect, it } from 'vitest'
import type { Machine } from '../../../src/machine/machine.ts'
import { isMachineName, parseMachineName } from '../../../src/machine/name.ts'
import { nearest } from '../../../src/machine/nearest.ts'
import { parseSelector, select } from '../../../src/machine/selector.ts'

const machine = (name: string, driver: string, labels: Record<string, string> = {}): Machine => ({
  name: parseMachineName(name),
  driver,
  labels,
})
const machines = [
  machine('web-1', 'aws', { role: 'web', env: 'prod' }),
  machine('web-2', 'ssh', { role: 'web', env: 'test' }),
  machine('db-1', 'aws', { role: 'db', env: 'prod' }),
  machine('constructor', 'local'),
]
const chosen = (...texts: string[]): string[] =>
  select(machines, parseSelector(texts)).map(({ name }) => name)

describe('--on', () => {
  it.each([
    [['all'], ['web-1', 'web-2', 'db-1', 'constructor']],
    [['web-1'], ['web-1']],
    [['web-*'], ['web-1', 'web-2']],
    [['*-1'], ['web-1', 'db-1']],
    [['??-1'], ['db-1']],
    [['db-1,web-1'], ['web-1', 'db-1']],
    [
      ['db-1', 'web-2'],
      ['web-2', 'db-1'],
    ],
    [['role=web'], ['web-1', 'web-2']],
    [['role=web,role=db'], ['web-1', 'web-2', 'db-1']],
    [
      ['role=web', 'role=db'],
      ['web-1', 'web-2', 'db-1'],
    ],
    [['role=web', 'env=prod'], ['web-1']],
    [
      ['role=web', 'role=db', 'env=prod'],
      ['web-1', 'db-1'],
    ],
    [['driver=aws'], ['web-1', 'db-1']],
    [['driver=aws', 'web-*'], ['web-1']],
    [['role=db,web-2'], ['web-2', 'db-1']],
    [['role=db,web-2', 'env=test'], ['web-2']],
    [['all', 'env=test'], ['web-2']],
    [['web-1', 'web-1'], ['web-1']],
    [[' web-1 , db-1 '], ['web-1', 'db-1']],
  ])('%j selects %j', (texts, names) => {
    expect(chosen(...texts)).toEqual(names)
  })

  it.each([
    [['web-9'], 'there is no machine "web-9" (did you mean web-1?)'],
    [['web-1,nothing-like-it'], 'there is no machine "nothing-like-it"'],
    [['x-*'], 'no machine matches x-*'],
    [['role=wep'], 'no machine matches role=wep (did you mean role=web?)'],
    [['rolle=web'], 'no machine matches rolle=web (did you mean role=web?)'],
    [['constructor=x'], 'no machine matches constructor=x'],
    [['toString'], 'there is no machine "toString"'],
    [['role=db', 'env=test'], 'no machine matches role=db, env=test'],
    [['.*'], 'no machine matches .*'],
    [['WEB-1'], 'there is no machine "WEB-1" (did you mean web-1?)'],
  ])('%j is an error that exits 3', (texts, message) => {
    expect(() => chosen(...texts)).toThrow(
      expect.objectContaining({ kind: 'unknown-machine', message }),
    )
  })

  it.each(['', 'a,,b', '=web', ','])('%j is a usage error', (text) => {
    expect(() => parseSelector([text])).toThrow(expect.objectContaining({ kind: 'usage' }))
  })

  it('says so when there are no machines at all', () => {
    expect(() => select([], parseSelector(['all']))).toThrow('the inventory is empty')
  })
})

describe('the nearest word', () => {
  it.each([
    ['lables', ['labels', 'driver'], 'labels'],
    ['prt', ['port', 'user'], 'port'],
    ['Web-1', ['web-1'], 'web-1'],
    ['sss', ['aws', 'ssh'], 'ssh'],
    ['x', ['y'], undefined],
    ['xyz', ['labels'], undefined],
    ['any', [], undefined],
  ])('to %s in %j is %s', (word, words, meant) => {
    expect(nearest(word, words)).toBe(meant)
  })
})

describe('a machine name', () => {
  it.each(['a', '0', 'A', 'web-1', 'a.b', 'a--b', 'constructor', 'a'.repeat(63)])(
    'can be %s',
    (name) => {
      expect(parseMachineName(name)).toBe(name)
    },
  )

  it.each([
    '',
    '-',
    '.',
    '..',
    '-a',
    'a-',
    '.a',
    'a.',
    'a b',
    'a_b',
    'é',
    'a/b',
    'a\n',
    '__proto__',
    'all',
    'a'.repeat(64),
  ])('cannot be %j', (name) => {
    expect(isMachineName(name)).toBe(false)
    expect(() => parseMachineName(name)).toThrow(expect.objectContaining({ kind: 'usage' }))
  })
})
