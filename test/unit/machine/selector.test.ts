import { describe, expect, it } from 'vitest'
import type { Machine } from '../../../src/machine/machine.ts'
import { isMachineName, parseMachineName } from '../../../src/machine/name.ts'
import { inventoryFile } from '../../../src/machine/schema.ts'
import { nearest } from '../../../src/machine/nearest-name.ts'
import { dependsOnState, parseSelector, select, selects } from '../../../src/machine/selector.ts'

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
    [['!web-*'], ['db-1', 'constructor']],
    [['!web-1'], ['web-2', 'db-1', 'constructor']],
    [['web-*,!web-2'], ['web-1']],
    [['web-*', '!web-2'], ['web-1']],
    [['!web-2', 'web-*'], ['web-1']],
    [['role!=web'], ['db-1', 'constructor']],
    [['role!=web,role!=db'], ['constructor']],
    [['role!=web', 'driver!=local'], ['db-1']],
    [['!role=web'], ['db-1', 'constructor']],
    [['env=prod', 'role!=db'], ['web-1']],
    [
      ['all', '!web-1', '!db-?'],
      ['web-2', 'constructor'],
    ],
  ])('%j selects %j', (texts, names) => {
    expect(chosen(...texts)).toEqual(names)
  })

  it.each([
    [['web-9'], 'there is no machine called "web-9" (did you mean web-1?)'],
    [['web-1,nothing-like-it'], 'there is no machine called "nothing-like-it"'],
    [['x-*'], 'no machine matches x-*'],
    [['role=wep'], 'no machine matches role=wep (did you mean role=web?)'],
    [['rolle=web'], 'no machine matches rolle=web (did you mean role=web?)'],
    [['constructor=x'], 'no machine matches constructor=x'],
    [['toString'], 'there is no machine called "toString"'],
    [['role=db', 'env=test'], 'no machine matches role=db, env=test'],
    [['.*'], 'no machine matches .*'],
    [['!*'], 'no machine matches !*'],
    [['!web-9'], 'there is no machine called "web-9" (did you mean web-1?)'],
    [['web-1', 'role!=web'], 'no machine matches web-1, role!=web'],
    [['WEB-1'], 'there is no machine called "WEB-1" (did you mean web-1?)'],
  ])('%j fails with kind unknown-machine', (texts, message) => {
    expect(() => chosen(...texts)).toThrow(
      expect.objectContaining({ kind: 'unknown-machine', message }),
    )
  })

  it('asks for states only where they affect the selection', () => {
    const selector = parseSelector(['state=stopped', 'role=web', '!web-2'], { takesState: true })
    expect(machines.filter((one) => selects(selector, one)).map(({ name }) => name)).toEqual([
      'web-1',
    ])
    const states = new Map([['web-1', 'stopped' as const]])
    expect(select(machines, selector, states)).toMatchObject([{ name: 'web-1' }])
    expect(() => select(machines, selector, new Map([['web-1', 'running']]))).toThrow(
      'no machine matches state=stopped, role=web, !web-2',
    )
    const others = parseSelector(['state!=running', 'web-*'], { takesState: true })
    expect(machines.filter((one) => selects(others, one))).toHaveLength(2)
    expect(
      select(
        machines,
        others,
        new Map([
          ['web-1', 'running'],
          ['web-2', 'absent'],
        ]),
      ),
    ).toMatchObject([{ name: 'web-2' }])
    expect(dependsOnState(others)).toBe(true)
    expect(() => parseSelector(['state=stoped'], { takesState: true })).toThrow(
      expect.objectContaining({ kind: 'usage', hint: 'did you mean state=stopped?' }),
    )
    expect(() => parseSelector(['state=stopped'])).toThrow('cannot be used here')
  })

  it.each(['', 'a,,b', '=web', ',', '!', '!=web', '!all', '!role!=web', 'web-1,!'])(
    '%j is a usage error',
    (text) => {
      expect(() => parseSelector([text])).toThrow(expect.objectContaining({ kind: 'usage' }))
    },
  )

  it('reports an empty inventory', () => {
    expect(() => select([], parseSelector(['all']))).toThrow('the inventory is empty')
  })
})

describe('the suggested word', () => {
  it.each([
    ['lables', ['labels', 'driver'], 'labels'],
    ['prt', ['port', 'user'], 'port'],
    ['Web-1', ['web-1'], 'web-1'],
    ['sss', ['aws', 'ssh'], 'ssh'],
    ['x', ['y'], undefined],
    ['xyz', ['labels'], undefined],
    ['any', [], undefined],
  ])('for %s in %j is %s', (word, words, suggestion) => {
    expect(nearest(word, words)).toBe(suggestion)
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

it.each([
  'web-1',
  ' web-* , !web-1',
  'role=web',
  'role!=web',
  '!role=web',
  'a=!',
  'a=b=c',
  'all,!web-1',
  'state=stopped',
  'web,state!=running',
  '!state=running',
  'stated=x',
  '!',
  '!=x',
  '!all',
  'all',
  '!all-of-them',
  '!a!=b',
  'a,,b',
  '=x',
  'x,',
])('the selector %j of an operator is valid only if it can be parsed', (text) => {
  const key = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32)]).toString('base64')}`
  const file = {
    version: 1,
    id: '0123abcd',
    operators: { ana: { key, on: [text] } },
    machines: {},
  }
  const isParsed = (() => {
    try {
      return parseSelector([text]).excluded !== undefined
    } catch {
      return false
    }
  })()
  expect({ text, valid: inventoryFile.safeParse(file).success }).toEqual({
    text,
    valid: isParsed,
  })
})
