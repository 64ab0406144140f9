import { describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import {
  failureCodeOf,
  writeFailure,
  writeFailures,
  writeResults,
} from '../../../src/ui/failure.ts'
import { pipeIo } from '../../support/fake-io.ts'

const bug = new TypeError('x is undefined')
const asFailure = new UserError('bug', bug.message, { machine: 'web-1', cause: bug })
const failures = [
  { machine: { name: 'web-1' }, error: asFailure },
  { machine: { name: 'web-2' }, error: new UserError('unreachable', 'refused') },
]

test('a bug on one of several machines is reported as a bug, with its stack', () => {
  const { io, said } = pipeIo()
  writeFailures(io, failures, { of: 3, json: false })
  expect(said().slice(0, 3)).toEqual([
    'fleet: 2 of 3 machines failed',
    '  web-1: this is a bug in fleet; please report it, and include the lines below',
    'TypeError: x is undefined',
  ])
  expect(said().at(-1)).toBe('  web-2: refused')
})

test('a bug has exit code 70, and in JSON the kind bug with its stack', () => {
  const { io, said } = pipeIo()
  writeFailure(io, asFailure, true)
  writeFailure(io, bug, true)
  const [of, alone] = said().map((line) => JSON.parse(line) as unknown)
  expect(of).toEqual({ error: { kind: 'bug', message: bug.stack, machine: 'web-1' } })
  expect(alone).toEqual({ error: { kind: 'bug', message: bug.stack } })
  expect([failureCodeOf(asFailure, 125), failureCodeOf(bug)]).toEqual([70, 70])
})

const unreachable = (name: string, address: string, why = 'nothing listens there') => ({
  machine: { name, host: { address } },
  error: new UserError('unreachable', `cannot reach ${name} at ${address}:22: ${why}`, {
    machine: name,
    hint: `is sshd running? See how it is: fleet status ${name}`,
  }),
})

const linesOf = (failures: ReturnType<typeof unreachable>[], of: number) => {
  const { io, said } = pipeIo()
  writeFailures(io, failures, { of, json: false })
  return said()
}

const absent = (name: string, path: string) => ({
  machine: { name },
  error: new UserError('failed', `${name}:${path} does not exist`, { machine: name }),
})

describe('failures of several machines', () => {
  test('name a path as the user typed it', () => {
    const { io, said } = pipeIo()
    writeFailures(io, [absent('a-1', '/x'), absent('b', '/y'), absent('a-2', '/x')], {
      ...{ of: 4, json: false },
    })
    expect(said().slice(1)).toEqual([
      '  2 machines: :/x does not exist: a-1, a-2',
      '  b: b:/y does not exist',
    ])
  })

  test('name a machine once per line, and in the command of the hint', () => {
    const { io, said } = pipeIo()
    const error = new UserError('unsupported', 'cannot remove b: its driver b-2 is not installed', {
      machine: 'b',
      hint: 'to remove only the entry: fleet forget b',
    })
    writeFailures(io, [{ machine: { name: 'b' }, error }], { of: 2, json: false })
    expect(said().slice(1)).toEqual([
      '  b: cannot remove the host: its driver b-2 is not installed',
      '    to remove only the entry: fleet forget b',
    ])
  })

  test('are counted if they are all unfinished', () => {
    const { io, said } = pipeIo()
    const rest = ['a', 'b', 'd'].map((name) => ({ name }))
    writeResults(io, { outcomes: [], rest, cancelled: true }, { json: false })
    expect(said()).toEqual(['fleet: cancelled: not finished on all 3 machines'])
  })

  test('with the same cause share one line and one hint', () => {
    const failures = ['web-1', 'web-2', 'web-3'].map((name, index) =>
      unreachable(name, `192.0.2.${index + 1}`),
    )
    const other = unreachable('db', '192.0.2.9', 'there is no route to it')
    expect(linesOf([...failures, other], 5)).toEqual([
      'fleet: 4 of 5 machines failed',
      '  3 machines: cannot reach the host: nothing listens there: web-1..web-3',
      '    is sshd running? See how it is: fleet status web-1 web-2 web-3',
      '  db: cannot reach the host at 192.0.2.9:22: there is no route to it',
      '    is sshd running? See how it is: fleet status db',
    ])
    expect(linesOf(failures, 3).slice(0, 2)).toEqual([
      'fleet: 3 of 3 machines failed',
      '  all 3 machines: cannot reach the host: nothing listens there',
    ])
  })

  test.each([
    ['for a new engine: fleet provision NAME; or go on', 'fleet provision web-1 web-2; or go on'],
    ['to set up the machine: fleet apply --on NAME', 'fleet apply --on web-1,web-2'],
    ['specify a driver: fleet create NAME --driver ssh', 'fleet create NAME --driver ssh'],
    ['to see its log: fleet ssh NAME -- cat /log', 'fleet ssh NAME -- cat /log'],
  ])('list all names in the command of the hint %j, if it accepts several', (hint, command) => {
    const { io, said } = pipeIo()
    const failures = ['web-1', 'web-2'].map((name) => ({
      machine: { name },
      error: new UserError('failed', 'no', { machine: name, hint: hint.replace('NAME', name) }),
    }))
    writeFailures(io, failures, { of: 3, json: false })
    expect(said().slice(1).join('\n')).toContain(command)
  })

  test('share a hint that fits on a line, for any number of machines', () => {
    const failures = Array.from({ length: 920 }, (_, index) =>
      unreachable(`web-${index}`, `2001:db8::${index.toString(16)}`),
    )
    expect(linesOf(failures, 920)).toEqual([
      'fleet: 920 of 920 machines failed',
      '  all 920 machines: cannot reach the host: nothing listens there',
      '    is sshd running? See how it is: fleet status NAME',
    ])
  })
})
