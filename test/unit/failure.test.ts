import { expect, test } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { failureCodeOf, writeFailure, writeFailures } from '../../src/ui/failure.ts'
import { pipeIo } from '../support/fake-io.ts'

const bug = new TypeError('x is undefined')
const asFailure = new UserError('bug', bug.message, { machine: 'web-1', cause: bug })
const failures = [
  { machine: { name: 'web-1' }, error: asFailure },
  { machine: { name: 'web-2' }, error: new UserError('unreachable', 'refused') },
]

test('a bug met on one of many machines is told as one, with its stack', () => {
  const { io, said } = pipeIo()
  writeFailures(io, failures, { of: 3, json: false })
  expect(said().slice(0, 3)).toEqual([
    'fleet: 2 of 3 machines failed',
    '  web-1: this is a bug in fleet; please report it with the lines below',
    'TypeError: x is undefined',
  ])
  expect(said().at(-1)).toBe('  web-2: refused')
})

test('a bug is exit code 70, and in JSON of the kind bug, with its stack', () => {
  const { io, said } = pipeIo()
  writeFailure(io, asFailure, true)
  writeFailure(io, bug, true)
  const [of, alone] = said().map((line) => JSON.parse(line) as unknown)
  expect(of).toEqual({ error: { kind: 'bug', message: bug.stack, machine: 'web-1' } })
  expect(alone).toEqual({ error: { kind: 'bug', message: bug.stack } })
  expect([failureCodeOf(asFailure, 125), failureCodeOf(bug)]).toEqual([70, 70])
})
